// Package balancer answers one question: who gets the request?
//
// [Build] joins a service's rules and one snapshot of its instances into a
// [Director]. For each request the Director decides the target ([Decision]: by
// lane, rule or default, with the fallbacks of the rule language) and picks
// one of that target's candidates: by weight, by load or by hash. What is known about an
// instance beyond its registration lives in its [Endpoint], which outlives
// snapshots.
//
// A Director is immutable but for counters; any number of goroutines may use it.
// The package is pure: no network, no goroutine, no clock.
package balancer
