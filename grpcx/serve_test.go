package grpcx_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// greeting answers with what travels with the call; "wait" waits for release.
type greeting struct {
	hello.UnimplementedHelloServer
	began, release chan struct{}
}

func newGreeting() *greeting {
	return &greeting{began: make(chan struct{}, 1), release: make(chan struct{})}
}

func (g *greeting) Say(ctx context.Context, req *hello.HelloRequest) (*hello.HelloReply, error) {
	if req.GetName() == "wait" {
		g.began <- struct{}{}
		select {
		case <-g.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	special, _ := lane.Header(ctx, "x-special")
	return &hello.HelloReply{Message: special, Version: lane.From(ctx)}, nil
}

func (g *greeting) register(s *grpc.Server) { hello.RegisterHelloServer(s, g) }

// running is a server run by ServeListener.
type running struct {
	cc   *grpc.ClientConn // to it, without discovery
	stop func()
	done chan error
}

func serve(t *testing.T, reg registry.Registrar, register func(*grpc.Server), opts ...grpcx.ServerOption) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{stop: cancel, done: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { r.done <- grpcx.ServeListener(ctx, reg, greeter.Name, ln, register, opts...) })
	r.cc, err = grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		require.NoError(t, r.cc.Close())
	})
	return r
}

// health asks for the health of a service.
func (r *running) health(t *testing.T, service string) healthpb.HealthCheckResponse_ServingStatus {
	t.Helper()
	reply, err := healthpb.NewHealthClient(r.cc).Check(t.Context(),
		&healthpb.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
	require.NoError(t, err)
	return reply.GetStatus()
}

// pending is a registrar whose registry accepts nothing before it may.
type pending struct {
	*memory.Registry
	accepts chan struct{}
}

func (p *pending) Register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	reg, err := p.Registry.Register(ctx, s, in)
	return &pendingRegistration{reg, p.accepts}, err
}

type pendingRegistration struct {
	registry.Registration
	accepts chan struct{}
}

func (p *pendingRegistration) Ready(ctx context.Context) error {
	select {
	case <-p.accepts:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestAServerIsHealthyWhileItIsAnnounced(t *testing.T) {
	reg := &pending{memory.New(), make(chan struct{})}
	g := newGreeting()
	r := serve(t, reg, g.register)
	for _, service := range []string{"", hello.Hello_ServiceDesc.ServiceName} {
		require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, r.health(t, service), "pending: %q", service)
	}
	close(reg.accepts)
	for _, service := range []string{"", hello.Hello_ServiceDesc.ServiceName} {
		require.Eventually(t, func() bool {
			return r.health(t, service) == healthpb.HealthCheckResponse_SERVING
		}, patience, time.Millisecond)
	}
	list := reg.Instances(greeter)
	require.Len(t, list, 1)
	assert.Equal(t, r.cc.Target(), list[0].Addr)
	assert.Equal(t, "grpc", list[0].Metadata[registry.KeyProtocol])

	// The end: not healthy, withdrawn, still serving, gone.
	r.stop()
	require.Eventually(t, func() bool { return len(reg.Instances(greeter)) == 0 }, patience, time.Millisecond)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, r.health(t, ""))
	_, err := hello.NewHelloClient(r.cc).Say(t.Context(), &hello.HelloRequest{})
	require.NoError(t, err, "a withdrawn server serves those who still know it")
	require.NoError(t, <-r.done)
}

func TestARunningCallEndsBeforeTheServer(t *testing.T) {
	g := newGreeting()
	r := serve(t, memory.New(), g.register, grpcx.WithLinger(-1))
	answered := make(chan error, 1)
	go func() {
		_, err := hello.NewHelloClient(r.cc).Say(t.Context(), &hello.HelloRequest{Name: "wait"}, grpc.WaitForReady(true))
		answered <- err
	}()
	<-g.began
	r.stop()
	select {
	case err := <-r.done:
		require.Fail(t, "the server did not wait", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(g.release)
	require.NoError(t, <-answered)
	require.NoError(t, <-r.done)
}

func TestACallThatDoesNotEndIsCutOff(t *testing.T) {
	g := newGreeting()
	r := serve(t, memory.New(), g.register, grpcx.WithLinger(-1), grpcx.WithDrainTimeout(50*time.Millisecond))
	answered := make(chan error, 1)
	go func() {
		_, err := hello.NewHelloClient(r.cc).Say(t.Context(), &hello.HelloRequest{Name: "wait"}, grpc.WaitForReady(true))
		answered <- err
	}()
	<-g.began
	r.stop()
	require.Equal(t, codes.Unavailable, status.Code(<-answered))
	require.ErrorIs(t, <-r.done, context.DeadlineExceeded)
}

func TestAHealthWatchDoesNotHoldUpTheDrain(t *testing.T) {
	g := newGreeting()
	r := serve(t, memory.New(), g.register, grpcx.WithLinger(-1), grpcx.WithDrainTimeout(patience))
	watch, err := healthpb.NewHealthClient(r.cc).Watch(t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	require.NoError(t, err)
	for state := healthpb.HealthCheckResponse_UNKNOWN; state != healthpb.HealthCheckResponse_SERVING; {
		reply, err := watch.Recv()
		require.NoError(t, err)
		state = reply.GetStatus()
	}
	start := time.Now()
	r.stop()
	require.NoError(t, <-r.done)
	assert.Less(t, time.Since(start), patience/2)
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	require.NotErrorIs(t, err, io.EOF)
}

func TestTheServersOwnHealthServiceStands(t *testing.T) {
	r := serve(t, memory.New(), func(s *grpc.Server) { healthpb.RegisterHealthServer(s, teapot{}) })
	_, err := healthpb.NewHealthClient(r.cc).Check(t.Context(), nil, grpc.WaitForReady(true))
	require.ErrorContains(t, err, "teapot")
}

type teapot struct {
	healthpb.UnimplementedHealthServer
}

func (teapot) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, errors.New("teapot")
}

func TestServeAnnouncesLabelsAndTellsItsVersion(t *testing.T) {
	outcomes := make(chan resolver.Outcome, 10)
	w := newWorld(t, `{gray: v1, default: v7}`, resolver.WithHooks(resolver.Hooks{
		OnDone: func(_ context.Context, _ resolver.Call, o resolver.Outcome, _ time.Duration) { outcomes <- o },
	}))
	var inner atomic.Value
	serve(t, w.registry, newGreeting().register,
		grpcx.WithVersion("v7"), grpcx.WithLabels(map[string]string{"zone": "a"}), grpcx.WithCarried("X-Special"),
		grpcx.WithServerOptions(grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				special, _ := lane.Header(ctx, "x-special")
				inner.Store(special)
				return handle(ctx, req)
			})))
	_, c := w.dial(t)

	ctx := metadata.AppendToOutgoingContext(calling(t, ""), "x-special", "yes", "x-gray-lane", "blue")
	reply, err := c.Say(ctx, &hello.HelloRequest{}, grpc.WaitForReady(true))
	require.NoError(t, err)
	assert.Equal(t, "yes", reply.GetMessage(), "WithCarried names what travels")
	assert.Empty(t, reply.GetVersion(), "and nothing else does")
	assert.Equal(t, "yes", inner.Load(), "inner interceptors have the context")
	assert.Equal(t, resolver.Outcome{Version: "v7"}, <-outcomes)
	labels := w.registry.Instances(greeter)[0].Metadata
	assert.Equal(t, map[string]string{"version": "v7", "zone": "a", "protocol": "grpc"}, labels)
}

func TestNoCallFailsWhenServersComeAndLeave(t *testing.T) {
	w := newWorld(t, "")
	start := func() *running {
		return serve(t, w.registry, newGreeting().register, grpcx.WithLinger(200*time.Millisecond))
	}
	servers := []*running{start(), start()}
	_, c := w.dial(t)
	ctx := calling(t, "")

	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.Say(ctx, &hello.HelloRequest{}, grpc.WaitForReady(true)); err != nil {
					failed.Add(1)
					t.Log(err)
				}
				calls.Add(1)
			}
		})
	}
	for range 3 {
		servers = append(servers, start())
		servers[0].stop()
		require.NoError(t, <-servers[0].done)
		servers = servers[1:]
	}
	close(stop)
	wg.Wait()
	t.Logf("%d calls while 3 servers were replaced", calls.Load())
	assert.Zero(t, failed.Load())
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	err = grpcx.Serve(t.Context(), memory.New(), greeter.Name, taken.Addr().String(), newGreeting().register)
	require.ErrorContains(t, err, "address already in use")

	err = grpcx.Serve(t.Context(), nil, greeter.Name, "127.0.0.1:0", newGreeting().register)
	require.ErrorContains(t, err, "no registrar")
	err = grpcx.Serve(t.Context(), memory.New(), "a/b", "127.0.0.1:0", newGreeting().register)
	require.ErrorIs(t, err, registry.ErrInvalid)
}
