// Package httpx is the HTTP face: it brings requests to the instance that the
// rules want, and serves them on the other side.
//
// A client is a plain *http.Client whose URLs name services:
//
//	client := httpx.NewClient(r) // r is a *resolver.Resolver
//	resp, err := client.Get("http://user/hello")
//
// Connections live long and are shared; the instance is picked for every single
// request, so that a changed rule holds from the next request on. What the
// request's context carries (package lane) goes along as headers.
//
// A server is announced, takes over what a request carries into its context, and
// leaves without failing a request when its context ends:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	err := httpx.Serve(ctx, registrar, "user", ":8081", handler)
//
// [Handler] is the middleware alone, for a server of one's own, and [NewGateway]
// a handler that forwards to services by host or path.
//
// The scheme of a URL is the protocol: http (HTTP/1.1), h2c (HTTP/2 in the
// clear), https (TLS, which verifies the service's name, with HTTP/2). A server
// speaks the first two, or with [WithTLS] the third.
//
// Everything here may be used concurrently.
package httpx
