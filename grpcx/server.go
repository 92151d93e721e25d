package grpcx

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// Interceptors returns the options that a grpc.NewServer needs if Serve does not
// run it. The metadata that [WithCarried] names travels on in the context of a
// call, and the answer has the version ([WithVersion]) in the trailer
// x-app-version. Other options mean nothing here. Further interceptors of the
// server run inside of these, if they are chained after them.
func Interceptors(opts ...ServerOption) []grpc.ServerOption {
	o := newServerOptions(opts)
	in := newIncoming(o)
	in.setVersion(o.Version())
	return in.options()
}

// incoming is what the server side does with each call.
type incoming struct {
	carried []string
	edge    serving.Edge
	trailer atomic.Pointer[metadata.MD] // nil: nothing to tell
	begin   time.Time
	newest  atomic.Int64 // when the newest request began, in nanoseconds since begin; 0: never

	// draining ends at the drain.
	draining context.Context //nolint:containedctx // the life of health watches
	drain    context.CancelFunc
}

func newIncoming(o serverOptions) *incoming {
	in := &incoming{carried: o.Carried, edge: o.Edge, begin: time.Now()}
	in.draining, in.drain = context.WithCancel(context.Background())
	return in
}

func (in *incoming) setVersion(version string) {
	if version != "" {
		in.trailer.Store(&metadata.MD{serving.VersionHeader: {version}})
	}
}

// leave makes answers say that the server is about to end.
func (in *incoming) leave() {
	md := metadata.MD{serving.LeavingHeader: {"1"}}
	if old := in.trailer.Load(); old != nil {
		md = metadata.Join(*old, md)
	}
	in.trailer.Store(&md)
}

func (in *incoming) options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(in.unary), grpc.ChainStreamInterceptor(in.stream)}
}

func (in *incoming) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	ctx = in.accept(ctx, info.FullMethod)
	if md := in.trailer.Load(); md != nil {
		if err := grpc.SetTrailer(ctx, *md); err != nil {
			return nil, err
		}
	}
	return handle(ctx, req)
}

func (in *incoming) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx := in.accept(ss.Context(), info.FullMethod)
	if md := in.trailer.Load(); md != nil {
		ss.SetTrailer(*md)
	}
	if info.FullMethod == healthpb.Health_Watch_FullMethodName {
		// A health watch never ends by itself, and would hold up every drain.
		watch, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(in.draining, cancel)()
		ctx = watch
	}
	return handle(srv, &serverStream{ServerStream: ss, ctx: ctx})
}

// accept notes a request, and returns the context that its handler runs in.
func (in *incoming) accept(ctx context.Context, method string) context.Context {
	if !strings.HasPrefix(method, "/"+healthpb.Health_ServiceDesc.ServiceName+"/") {
		in.newest.Store(int64(time.Since(in.begin)) + 1)
	}
	md, _ := metadata.FromIncomingContext(ctx) // a copy
	ctx, md = in.fromOutside(ctx, method, md)
	m := carrier(md)
	received := &request{method: method, user: lane.UserOf(ctx, m), lane: lane.Of(m), md: md}
	return resolver.WithRequest(lane.Extract(ctx, m, in.carried), received)
}

// lastRequest is when the newest request began, zero if there was none.
func (in *incoming) lastRequest() time.Time {
	if ns := in.newest.Load(); ns != 0 {
		return in.begin.Add(time.Duration(ns)) // has the monotonic clock's reading
	}
	return time.Time{}
}

// serverStream is a stream with another context.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // what Context returns
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }
