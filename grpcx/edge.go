package grpcx

import (
	"context"
	"net/netip"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// Edge says that calls come from outside, from callers that are not trusted to
// choose a lane or a version: the keys x-gray-lane and x-gray-version and the
// member gray-lane of W3C baggage are taken off each call's metadata before
// anything else sees it. Keep names those of these keys ("baggage" for the member)
// that callers may send all the same. Other carried keys, such as x-user-id,
// x-user-type and x-tag, pass: who may say those, the application must check.
func Edge(keep ...string) ServerOption {
	return func(o *serverOptions) { o.Edge.Close(keep) }
}

// TrustedPeers makes a server an [Edge] for everybody but the peers at these
// addresses: those of the caller's own network. A peer is who opened the
// connection.
func TrustedPeers(prefixes ...netip.Prefix) ServerOption {
	return func(o *serverOptions) { o.Edge.Trust(prefixes) }
}

// Enter makes a server an [Edge] that puts calls from outside into lanes, by the
// `enter` rules of the global document that r follows. Which calls come from
// outside, and what they may keep, TrustedPeers and Edge say; a lane that a call
// keeps stays. In the first 3 s a call waits until the document is known.
func Enter(r *resolver.Resolver) ServerOption {
	entrance := r.Entrance()
	return func(o *serverOptions) { o.Edge.Enter(entrance) }
}

// fromOutside takes off a call from outside what only insiders may say, and puts it
// into the lane that it enters. It returns the metadata, and a context that has it.
func (in *incoming) fromOutside(ctx context.Context, method string, md metadata.MD) (context.Context, metadata.MD) {
	from := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		from = p.Addr.String()
	}
	if !in.edge.Outside(from) {
		return ctx, md
	}
	if md == nil {
		md = metadata.MD{}
	}
	m := carrier(md) // a copy of this call's own
	in.edge.Strip(m, func(name string) { delete(md, name) })
	in.edge.Admit(ctx, m, &request{method: method, user: lane.UserOf(ctx, m), lane: lane.Of(m), md: md})
	return metadata.NewIncomingContext(ctx, md), md
}
