package grpcx_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestEveryCallIsDecidedOverConnectionsThatStay(t *testing.T) {
	w := newWorld(t, byHeader)
	ps := []*provider{
		newProvider(t, "v1"), newProvider(t, "v1"), newProvider(t, "v1"), newProvider(t, "v2"), newProvider(t, "v2"),
	}
	w.register(ps...)
	_, c := w.dial(t)
	warm(t, c, ps...)
	require.Equal(t, []int64{1, 1, 1, 1, 1}, connections(ps...))
	for _, p := range ps {
		p.calls.Store(0)
	}

	var none, v2 context.Context
	const calls = 6000
	for i := range calls {
		if i%500 == 0 { // a deadline for so many: under the race detector, they take their time
			none, v2 = calling(t, ""), calling(t, "v2") //nolint:fatcontext // they are new, not one in the other
		}
		ctx, want := none, "v1"
		if i%2 == 1 {
			ctx, want = v2, "v2"
		}
		reply, err := c.Say(ctx, &hello.HelloRequest{})
		require.NoError(t, err)
		require.Equal(t, want, reply.GetVersion())
	}
	within := float64(3 * runtime.GOMAXPROCS(0)) // each core has begun a run of picks of its own
	for _, p := range ps[:3] {
		assert.InDelta(t, calls/2/3, p.calls.Load(), within, "v1 at %s", p.addr)
	}
	for _, p := range ps[3:] {
		assert.InDelta(t, calls/2/2, p.calls.Load(), within, "v2 at %s", p.addr)
	}
	assert.Equal(t, []int64{1, 1, 1, 1, 1}, connections(ps...))
}

func TestChangesTakeEffectWithoutTouchingConnections(t *testing.T) {
	w := newWorld(t, byHeader)
	a, b := newProvider(t, "v1"), newProvider(t, "v2")
	w.register(a, b)
	_, c := w.dial(t)
	warm(t, c, a, b)

	ctx := calling(t, "")
	follows := func(what string, to *provider) {
		t.Helper()
		require.Eventually(t, func() bool {
			reply, err := c.Say(ctx, &hello.HelloRequest{})
			require.NoError(t, err)
			return reply.GetInstance() == to.addr
		}, patience, time.Millisecond, what)
	}
	follows("the default is v1", a)
	w.rule("{gray: v1, default: v2}")
	follows("a changed rule", b)

	swapped := []registry.Instance{a.instance(), b.instance()}
	swapped[0].Metadata[registry.KeyVersion] = "v2"
	swapped[1].Metadata[registry.KeyVersion] = "v1"
	w.registry.Set(greeter, swapped...)
	follows("a changed version", a)

	swapped[1].Metadata[registry.KeyVersion] = "v2"
	swapped[0].Weight = 0
	w.registry.Set(greeter, swapped...)
	follows("a changed weight", b)

	assert.Equal(t, []int64{1, 1}, connections(a, b))
}

func TestInstancesComeAndGoUnderLoad(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v1}`)
	ps := []*provider{newProvider(t, "v1"), newProvider(t, "v1"), newProvider(t, "v1"), newProvider(t, "v1")}
	w.register(ps[:2]...)
	_, c := w.dial(t)
	warm(t, c, ps[:2]...)

	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(calling(t, ""))
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, err := c.Say(context.WithoutCancel(ctx), &hello.HelloRequest{})
				if err != nil {
					failed.Add(1)
					t.Log(err)
				}
				calls.Add(1)
			}
		})
	}
	for i := range 20 {
		in := []*provider{ps[i%4], ps[(i+1)%4], ps[(i+2)%4]}
		w.register(in...)
		before := in[2].calls.Load()
		require.Eventually(t, func() bool { return in[2].calls.Load() > before }, patience, time.Millisecond)
	}
	stop()
	wg.Wait()
	t.Logf("%d calls over 20 changes", calls.Load())
	assert.Zero(t, failed.Load())
}

func TestADeadInstanceIsPassedOverInsideItsTarget(t *testing.T) {
	w := newWorld(t, byHeader)
	v1, live, dead := newProvider(t, "v1"), newProvider(t, "v2"), newProvider(t, "v2")
	w.register(v1, live, dead)
	var broken ended
	_, c := w.dial(t, grpc.WithStatsHandler(&broken))
	warm(t, c, v1, live, dead)
	dead.stop()
	// A call that goes out before the client knows of the break may fail.
	require.Eventually(t, func() bool { return broken.has(dead.addr) }, patience, time.Millisecond)

	ctx := calling(t, "v2")
	for range 100 {
		reply, err := c.Say(ctx, &hello.HelloRequest{})
		require.NoError(t, err)
		require.Equal(t, live.addr, reply.GetInstance())
	}

	v1.calls.Store(0)
	live.stop()
	require.Eventually(t, func() bool {
		_, err := c.Say(ctx, &hello.HelloRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		return err != nil && errors.Is(err, balancer.ErrSkipped)
	}, patience, 10*time.Millisecond)
	_, err := c.Say(ctx, &hello.HelloRequest{})
	require.ErrorContains(t, err, "connection refused")
	assert.Zero(t, v1.calls.Load(), "a dead target must not spill to another version")
}

func TestInstancesOfAnotherProtocolAreNotCalled(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v1}`)
	a, b := newProvider(t, "v1"), newProvider(t, "v1")
	other := b.instance()
	other.Metadata[registry.KeyProtocol] = "http"
	w.registry.Set(greeter, a.instance(), other)
	_, c := w.dial(t)
	for range 20 {
		reply, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		require.NoError(t, err)
		require.Equal(t, a.addr, reply.GetInstance())
	}
	assert.Zero(t, b.opened.Load())
}

func TestTheContextTravels(t *testing.T) {
	w := newWorld(t, `
gray: v1
default: v1
rules:
- {name: qa, when: {user: qa-1}, to: v2}
`)
	v1, v2, blue := newProvider(t, "v1"), newProvider(t, "v2"), newProvider(t, "v1")
	inLane := blue.instance()
	inLane.Metadata[registry.KeyLane] = "blue"
	w.registry.Set(greeter, v1.instance(), v2.instance(), inLane)
	_, c := w.dial(t)

	reply, err := c.Say(lane.With(calling(t, ""), "blue"), &hello.HelloRequest{})
	require.NoError(t, err)
	assert.Equal(t, blue.addr, reply.GetInstance())
	assert.Equal(t, []string{"blue"}, blue.header(lane.HeaderLane))
	blue.mu.Lock()
	assert.Equal(t, "blue", blue.lane, "the server's context has the lane")
	blue.mu.Unlock()

	ctx := metadata.AppendToOutgoingContext(calling(t, ""), "x-other", "kept")
	reply, err = c.Say(lane.WithUser(ctx, "qa-1"), &hello.HelloRequest{})
	require.NoError(t, err)
	assert.Equal(t, v2.addr, reply.GetInstance())
	assert.Equal(t, []string{"qa-1"}, v2.header(lane.HeaderUser))
	assert.Equal(t, []string{"kept"}, v2.header("x-other"))
}

func TestMetadataOfInnerInterceptorsIsSeenByTheRules(t *testing.T) {
	w := newWorld(t, byHeader)
	v1, v2 := newProvider(t, "v1"), newProvider(t, "v2")
	w.register(v1, v2)
	_, c := w.dial(t, grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any,
		cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		return invoke(metadata.AppendToOutgoingContext(ctx, lane.HeaderVersion, "v2"), method, req, reply, cc, opts...)
	}))
	reply, err := c.Say(calling(t, ""), &hello.HelloRequest{})
	require.NoError(t, err)
	assert.Equal(t, "v2", reply.GetVersion())
}

func TestAHeaderSentTwiceIsAbsent(t *testing.T) {
	w := newWorld(t, byHeader)
	v1, v2 := newProvider(t, "v1"), newProvider(t, "v2")
	w.register(v1, v2)
	_, c := w.dial(t)
	ctx := metadata.AppendToOutgoingContext(calling(t, "v2"), lane.HeaderVersion, "v2")
	reply, err := c.Say(ctx, &hello.HelloRequest{})
	require.NoError(t, err)
	assert.Equal(t, "v1", reply.GetVersion())
}

func TestStreamsAreDecidedToo(t *testing.T) {
	w := newWorld(t, byHeader)
	v1, v2 := newProvider(t, "v1"), newProvider(t, "v2")
	w.register(v1, v2)
	_, c := w.dial(t)
	for _, want := range []string{"v1", "v2", "v1", "v2"} {
		s, err := c.Watch(calling(t, want), &hello.HelloRequest{Times: 2})
		require.NoError(t, err)
		for range 2 {
			reply, err := s.Recv()
			require.NoError(t, err)
			require.Equal(t, want, reply.GetVersion())
		}
		_, err = s.Recv()
		require.ErrorContains(t, err, "EOF")
		require.Equal(t, []string{want}, s.Trailer().Get("x-app-version"))
	}
	_, err := c.Watch(calling(t, "v3"), &hello.HelloRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

func TestHooksSeeEveryAttempt(t *testing.T) {
	type done struct {
		addr    string
		attempt int
		outcome resolver.Outcome
	}
	dones := make(chan done, 10)
	w := newWorld(t, `{gray: v1, default: v1}`, resolver.WithHooks(resolver.Hooks{
		OnDone: func(_ context.Context, c resolver.Call, o resolver.Outcome, _ time.Duration) {
			dones <- done{c.Addr(), c.Attempt, o}
		},
	}))
	p := newProvider(t, "v1")
	w.register(p)
	_, c := w.dial(t)

	_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
	require.NoError(t, err)
	assert.Equal(t, done{p.addr, 1, resolver.Outcome{Version: "v1"}}, <-dones)

	p.fail.Store(uint32(codes.NotFound))
	_, err = c.Say(calling(t, ""), &hello.HelloRequest{})
	require.Equal(t, codes.NotFound, status.Code(err))
	assert.Equal(t, done{p.addr, 1, resolver.Outcome{Status: int(codes.NotFound), Version: "v1"}}, <-dones)
}

func TestTheClientConnMayIdle(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v1}`)
	p := newProvider(t, "v1")
	w.register(p)
	cc, c := w.dial(t, grpc.WithIdleTimeout(50*time.Millisecond))
	for n := range int64(2) {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		require.NoError(t, err)
		require.Equal(t, n+1, p.opened.Load())
		require.Eventually(t, func() bool { return cc.GetState().String() == "IDLE" }, patience, 10*time.Millisecond)
	}
}

func TestNewClientRefusesABadName(t *testing.T) {
	w := newWorld(t, "")
	for _, name := range []string{"", "a/b", "a b"} {
		_, err := grpcx.NewClient(w.resolver, name, grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.ErrorIs(t, err, registry.ErrInvalid, "%q", name)
	}
	_, err := grpcx.NewClient(w.resolver, "greeter")
	require.ErrorContains(t, err, "credentials")
}

func TestServiceConfigs(t *testing.T) {
	w := newWorld(t, byHeader)
	v1, v2 := newProvider(t, "v1"), newProvider(t, "v2")
	w.register(v1, v2)

	t.Run("WithServiceConfig keeps the policy", func(t *testing.T) {
		for _, text := range []string{`{}`, `{"loadBalancingConfig":[{"round_robin":{}}]}`} {
			_, c := w.dial(t, grpcx.WithServiceConfig(text))
			reply, err := c.Say(calling(t, "v2"), &hello.HelloRequest{})
			require.NoError(t, err)
			require.Equal(t, "v2", reply.GetVersion())
		}
	})
	t.Run("a config that names the policy works", func(t *testing.T) {
		_, c := w.dial(t, grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"graylane":{}}]}`))
		reply, err := c.Say(calling(t, "v2"), &hello.HelloRequest{})
		require.NoError(t, err)
		require.Equal(t, "v2", reply.GetVersion())
	})
	t.Run("one that does not fails every call, and says why", func(t *testing.T) {
		_, c := w.dial(t, grpc.WithDefaultServiceConfig(`{}`))
		for range 3 {
			_, err := c.Say(calling(t, "v2"), &hello.HelloRequest{})
			require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
			require.ErrorContains(t, err, "grpcx.WithServiceConfig")
		}
	})
	t.Run("bad JSON is an error of NewClient", func(t *testing.T) {
		for _, text := range []string{`{`, `[]`, `{"methodConfig": 1}`} {
			_, err := grpcx.NewClient(w.resolver, greeter.Name,
				grpc.WithTransportCredentials(insecure.NewCredentials()), grpcx.WithServiceConfig(text))
			require.ErrorContains(t, err, "service config", text)
		}
	})
}

func TestThePolicyNeedsNewClient(t *testing.T) {
	p := newProvider(t, "v1")
	cc, err := grpc.NewClient("passthrough:///"+p.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"graylane":{}}]}`))
	require.NoError(t, err)
	defer func() { require.NoError(t, cc.Close()) }()
	_, err = hello.NewHelloClient(cc).Say(calling(t, ""), &hello.HelloRequest{})
	require.Equal(t, codes.Internal, status.Code(err))
	require.ErrorContains(t, err, "grpcx.NewClient")
}

func TestManyInstances(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 200 servers")
	}
	w := newWorld(t, `{gray: v1, default: v1}`)
	ps := make([]*provider, 200)
	for i := range ps {
		ps[i] = newProvider(t, "v1")
	}
	w.register(ps...)
	_, c := w.dial(t)
	start := time.Now()
	warm(t, c, ps...)
	t.Logf("%d instances have answered after %s", len(ps), time.Since(start))
	for _, n := range connections(ps...) {
		require.Equal(t, int64(1), n)
	}
}
