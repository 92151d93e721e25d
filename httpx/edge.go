package httpx

import (
	"maps"
	"net/http"
	"net/netip"

	"github.com/graylane/graylane/resolver"
)

// Edge says that requests come from outside, from callers that are not trusted
// to choose a lane or a version: the headers x-gray-lane and x-gray-version and
// the member gray-lane of W3C baggage are taken off each request before anything
// else sees it. Keep names those of these headers ("baggage" for the member) that
// callers may send all the same; an edge that lets testers name a version keeps
// "x-gray-version". Other carried headers, such as x-user-id, x-user-type and
// x-tag, pass: who may say those, the application must check.
func Edge(keep ...string) ServerOption {
	return func(o *serverOptions) { o.Edge.Close(keep) }
}

// TrustedPeers makes a server an [Edge] for everybody but the peers at these
// addresses: those of the caller's own network. A peer is who opened the
// connection; X-Forwarded-For is not read.
func TrustedPeers(prefixes ...netip.Prefix) ServerOption {
	return func(o *serverOptions) { o.Edge.Trust(prefixes) }
}

// Enter makes a server an [Edge] that puts requests from outside into lanes, by the
// `enter` rules of the global document that r follows. Which requests come from
// outside, and what they may keep, TrustedPeers and Edge say; a lane that a request
// keeps stays. In the first 3 s a request waits until the document is known.
func Enter(r *resolver.Resolver) ServerOption {
	entrance := r.Entrance()
	return func(o *serverOptions) { o.Edge.Enter(entrance) }
}

// fromOutside returns a request from outside without what only insiders may say,
// in the lane that it enters. The original is never written.
func (h *handler) fromOutside(r *http.Request) *http.Request {
	r = r.WithContext(r.Context()) // a copy
	r.Header = maps.Clone(r.Header)
	h.edge.Strip(header(r.Header), func(name string) { delete(r.Header, canonical(name)) })
	h.edge.Admit(r.Context(), header(r.Header), request{r})
	return r
}
