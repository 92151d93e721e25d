// Package otelx puts what was decided about a request onto its caller's span: which rule
// sent it where, to which instance, and by which version of the document; failed
// attempts, retries and refusals are events of the span.
//
//	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, otelx.Baggage{}))
//	gl, err := graylane.Open(ctx, graylane.WithHooks(otelx.Hooks()))
//	...
//	client := &http.Client{Transport: otelhttp.NewTransport(httpx.NewTransport(gl.Resolver()))}
//	conn, err := grpcx.NewClient(gl.Resolver(), "user", grpc.WithStatsHandler(otelgrpc.NewClientHandler()), creds)
//
// It knows OpenTelemetry's API alone: spans and their SDK are the application's.
package otelx
