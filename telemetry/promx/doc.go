// Package promx counts, for Prometheus, what a resolver does: which rule sent how many
// requests where, how attempts ended and how long they took, who was refused, ejected or
// withdrawn, and how old what this process knows is.
//
//	metrics := promx.New()
//	prometheus.MustRegister(metrics)
//	gl, err := graylane.Open(ctx, graylane.WithHooks(metrics.Hooks()))
//	...
//	http.Handle("/metrics", promhttp.Handler())
//
// Every label's values come from instances and documents, never from a request, and
// there is a most of them: MaxServices, and MaxValues versions, rules and targets of a
// service. What is beyond that is counted as Other, and so is a service while nothing is
// known of it, or while it has had neither an instance nor a document: a request may have
// made its name up. A value that is no more in use makes room for a new one, and its
// series end then.
package promx
