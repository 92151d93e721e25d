package grpcx

import (
	"context"
	"net/netip"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
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

// fromOutside takes off a call from outside what only insiders may say. It
// returns the metadata, and a context that has it.
func (in *incoming) fromOutside(ctx context.Context, md metadata.MD) (context.Context, metadata.MD) {
	from := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		from = p.Addr.String()
	}
	if !in.edge.Outside(from) {
		return ctx, md
	}
	in.edge.Strip(carrier(md), func(name string) { delete(md, name) }) // a copy of this call's own
	return metadata.NewIncomingContext(ctx, md), md
}
