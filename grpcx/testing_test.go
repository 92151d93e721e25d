package grpcx_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

var greeter = registry.Service{Name: "greeter"}

// byHeader sends a call to the version that it names, others to v1.
const byHeader = `
gray: v1
default: v1
rules:
- {name: asked-for, by: header.x-gray-version, missing: fail}
`

// provider is one real gRPC server on the loopback.
type provider struct {
	hello.UnimplementedHelloServer
	addr, version string
	calls, opened atomic.Int64
	fail          atomic.Uint32 // the code that every call is answered with
	hangs         atomic.Bool   // every call, until its caller leaves

	mu   sync.Mutex
	seen metadata.MD // of the newest call
	lane string      // in the context of the newest call

	stop func()
}

func newProvider(tb testing.TB, version string, opts ...grpc.ServerOption) *provider {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	p := &provider{addr: ln.Addr().String(), version: version}
	opts = append(opts, grpc.StatsHandler((*opened)(p)))
	s := grpc.NewServer(append(opts, grpcx.Interceptors(grpcx.WithVersion(version))...)...)
	hello.RegisterHelloServer(s, p)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) })
	p.stop = sync.OnceFunc(func() { s.Stop(); wg.Wait() })
	tb.Cleanup(p.stop)
	return p
}

func (p *provider) Say(ctx context.Context, req *hello.HelloRequest) (*hello.HelloReply, error) {
	p.calls.Add(1)
	p.mu.Lock()
	p.seen, _ = metadata.FromIncomingContext(ctx)
	p.lane = lane.From(ctx)
	p.mu.Unlock()
	if p.hangs.Load() {
		<-ctx.Done()
	}
	if code := codes.Code(p.fail.Load()); code != codes.OK {
		return nil, status.Error(code, "as the test wants")
	}
	return &hello.HelloReply{Message: "hello " + req.GetName(), Instance: p.addr, Version: p.version}, nil
}

// Watch answers as often as it is asked to; for 0 once, and then stays open until
// the caller leaves.
func (p *provider) Watch(req *hello.HelloRequest, s grpc.ServerStreamingServer[hello.HelloReply]) error {
	if req.GetTimes() == 0 {
		err := s.Send(&hello.HelloReply{Instance: p.addr, Version: p.version})
		<-s.Context().Done()
		return err
	}
	for range req.GetTimes() {
		if err := s.Send(&hello.HelloReply{Instance: p.addr, Version: p.version}); err != nil {
			return err
		}
	}
	return nil
}

// header returns a metadata key of the newest call.
func (p *provider) header(name string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Get(name)
}

// instance is the provider as a registry knows it.
func (p *provider) instance() registry.Instance {
	in := registry.NewInstance(p.addr)
	in.Metadata = map[string]string{registry.KeyVersion: p.version, registry.KeyProtocol: "grpc"}
	return in
}

// opened counts connections.
type opened provider

func (*opened) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*opened) HandleRPC(context.Context, stats.RPCStats)                         {}
func (*opened) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (o *opened) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, ok := s.(*stats.ConnBegin); ok {
		o.opened.Add(1)
	}
}

// ended is the addresses to which a connection of the client has ended.
type ended struct{ addrs sync.Map }

type endedAddr struct{}

func (*ended) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (*ended) HandleRPC(context.Context, stats.RPCStats)                       {}
func (*ended) TagConn(ctx context.Context, i *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, endedAddr{}, i.RemoteAddr.String())
}

func (e *ended) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, ok := s.(*stats.ConnEnd); ok {
		e.addrs.Store(ctx.Value(endedAddr{}), true)
	}
}

func (e *ended) has(addr string) bool {
	_, ok := e.addrs.Load(addr)
	return ok
}

// world is a registry, a document, and a resolver over both.
type world struct {
	registry  *memory.Registry
	documents *configmemory.Source
	resolver  *resolver.Resolver
}

func newWorld(tb testing.TB, rules string, opts ...resolver.Option) *world {
	tb.Helper()
	w := &world{registry: memory.New(), documents: configmemory.New(map[string]string{config.ServiceDocID(greeter.Name): rules})}
	opts = append([]resolver.Option{resolver.WithSlowStart(0)}, opts...) // shares are measured at once
	r, err := resolver.New(w.registry, w.documents, opts...)
	require.NoError(tb, err)
	w.resolver = r
	tb.Cleanup(func() { require.NoError(tb, r.Close()) })
	return w
}

// rule makes text the rules of the service.
func (w *world) rule(text string) { w.documents.Set(config.ServiceDocID(greeter.Name), text) }

// register makes the providers all that there is of the service.
func (w *world) register(ps ...*provider) {
	list := make([]registry.Instance, len(ps))
	for i, p := range ps {
		list[i] = p.instance()
	}
	w.registry.Set(greeter, list...)
}

// dial returns a client of the service.
func (w *world) dial(tb testing.TB, opts ...grpc.DialOption) (*grpc.ClientConn, hello.HelloClient) {
	tb.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	cc, err := grpcx.NewClient(w.resolver, greeter.Name, opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return cc, hello.NewHelloClient(cc)
}

// calling returns a context for calls that ask for a version, "" for none.
func calling(tb testing.TB, version string) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	if version != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, lane.HeaderVersion, version)
	}
	return ctx
}

// warm calls each version of the providers until all of them have answered.
func warm(tb testing.TB, c hello.HelloClient, ps ...*provider) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		all := true
		for _, p := range ps {
			if p.calls.Load() == 0 {
				all = false
				_, err := c.Say(calling(tb, p.version), &hello.HelloRequest{}, grpc.WaitForReady(true))
				require.NoError(tb, err)
			}
		}
		return all
	}, patience, time.Millisecond)
}

// connections is how many connections the providers have accepted, each.
func connections(ps ...*provider) []int64 {
	var n []int64
	for _, p := range ps {
		n = append(n, p.opened.Load())
	}
	return n
}
