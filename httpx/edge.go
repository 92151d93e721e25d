package httpx

import (
	"maps"
	"net/http"
	"net/netip"
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

// fromOutside returns the header of a request from outside without what only
// insiders may say. The request's own is never written.
func (h *handler) fromOutside(r *http.Request) http.Header {
	clean := maps.Clone(r.Header)
	h.edge.Strip(header(clean), func(name string) { delete(clean, canonical(name)) })
	return clean
}
