package grpcx_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// hangs is an instance that accepts connections and never speaks: gRPC goes on
// connecting to it.
func hangs(t *testing.T, version string) registry.Instance {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	p := provider{addr: ln.Addr().String(), version: version}
	return p.instance()
}

// refuses is an instance that nobody listens at. Its port is that of a connection, so that
// no other process can listen there meanwhile.
func refuses(t *testing.T, version string) registry.Instance {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	p := provider{addr: conn.LocalAddr().String(), version: version}
	_, err = net.Dial("tcp", p.addr)
	require.ErrorContains(t, err, "refused")
	return p.instance()
}

func TestErrorsKeepTheirTypeAndHaveACode(t *testing.T) {
	v1 := newProvider(t, "v1")
	tests := map[string]struct {
		instances []registry.Instance
		rules     string
		asks      string
		code      codes.Code
		is        error
	}{
		"unknown service": {
			rules: byHeader, code: codes.Unavailable, is: resolver.ErrUnknownService,
		},
		"no instance": {
			instances: []registry.Instance{v1.instance()},
			rules:     byHeader, asks: "v2", code: codes.Unavailable, is: balancer.ErrNoInstance,
		},
		"unknown target": {
			instances: []registry.Instance{v1.instance()},
			rules: `
gray: v1
default: v1
targets: {v1: {version: v1}}
rules:
- {name: asked-for, by: header.x-gray-version, missing: fail}
`,
			asks: "v2", code: codes.InvalidArgument, is: balancer.ErrUnknownTarget,
		},
		"nobody can be connected to": {
			instances: []registry.Instance{v1.instance(), refuses(t, "v2")},
			rules:     byHeader, asks: "v2", code: codes.Unavailable, is: balancer.ErrSkipped,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.rules)
			w.registry.Set(greeter, test.instances...)
			_, c := w.dial(t)
			_, err := c.Say(calling(t, test.asks), &hello.HelloRequest{})
			require.Error(t, err)
			assert.Equal(t, test.code, status.Code(err), "%v", err)
			require.ErrorIs(t, err, test.is)

			s, err := c.Watch(calling(t, test.asks), &hello.HelloRequest{})
			require.Nil(t, s)
			assert.Equal(t, test.code, status.Code(err), "%v", err)
			require.ErrorIs(t, err, test.is)
		})
	}
}

func TestADeadlineEndsTheWaitAndSaysWhatForItWas(t *testing.T) {
	tests := map[string]struct {
		world func(t *testing.T) *world
		is    error
		text  string
	}{
		"for the first list": {
			world: func(t *testing.T) *world {
				t.Helper()
				r, err := resolver.New(silent{}, nil)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, r.Close()) })
				return &world{resolver: r}
			},
			is: resolver.ErrNotReady, text: "greeter",
		},
		"for a connection": {
			world: func(t *testing.T) *world {
				t.Helper()
				w := newWorld(t, byHeader)
				w.registry.Set(greeter, hangs(t, "v1"))
				return w
			},
			is: balancer.ErrSkipped, text: "still connecting",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, c := test.world(t).dial(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.Say(ctx, &hello.HelloRequest{})
			assert.Equal(t, codes.DeadlineExceeded, status.Code(err), "%v", err)
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.text)

			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			_, err = c.Say(ctx, &hello.HelloRequest{})
			assert.Equal(t, codes.Canceled, status.Code(err), "%v", err)
		})
	}
}

// silent is a registry that never answers, and tells who watches it.
type silent struct{ watched chan registry.Service }

func (s silent) Watch(ctx context.Context, service registry.Service, _ func(registry.Update)) error {
	if s.watched != nil {
		s.watched <- service
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestAWaitForTheFirstListEndsWhenGRPCSaysSo(t *testing.T) {
	r, err := resolver.New(silent{}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	shared, err := r.View(r.Service(greeter.Name), "grpc") // the view goes on
	require.NoError(t, err)
	defer shared.Close()
	w := &world{resolver: r}

	_, c := w.dial(t, grpcx.WithServiceConfig(`{"methodConfig": [{"name": [{}], "timeout": "1s"}]}`))
	start := time.Now()
	_, err = c.Say(calling(t, ""), &hello.HelloRequest{})
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err), "%v", err)
	require.ErrorIs(t, err, resolver.ErrNotReady)

	cc, c := w.dial(t)
	waiting := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		waiting <- err
	})
	require.Eventually(t, func() bool { return cc.GetState() == connectivity.Connecting }, patience, time.Millisecond)
	require.NoError(t, cc.Close())
	err = <-waiting
	assert.Equal(t, codes.Canceled, status.Code(err), "%v", err)
	assert.Less(t, time.Since(start), patience/2)
}

func TestAClosedResolverEndsCalls(t *testing.T) {
	reg := silent{watched: make(chan registry.Service, 1)}
	r, err := resolver.New(reg, nil)
	require.NoError(t, err)
	w := &world{resolver: r}
	_, c := w.dial(t)
	waiting := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{}, grpc.WaitForReady(true))
		waiting <- err
	})
	<-reg.watched
	require.NoError(t, r.Close())
	err = <-waiting
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.ErrorIs(t, err, resolver.ErrClosed)

	_, c = w.dial(t)
	_, err = c.Say(calling(t, ""), &hello.HelloRequest{})
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.ErrorIs(t, err, resolver.ErrClosed)
}

func TestWaitForReadyWaitsWhereWaitingHelps(t *testing.T) {
	v1 := newProvider(t, "v1")
	gone := refuses(t, "v1")
	tests := map[string][]registry.Instance{
		"unknown service": nil,
		"nobody enabled": {func() registry.Instance {
			in := v1.instance()
			in.Enabled = false
			return in
		}()},
		"nobody connected": {gone},
	}
	for name, before := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, byHeader)
			w.registry.Set(greeter, before...)
			_, c := w.dial(t)
			_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
			require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)

			var wg sync.WaitGroup
			defer wg.Wait()
			done := make(chan error, 1)
			wg.Go(func() {
				_, err := c.Say(calling(t, ""), &hello.HelloRequest{}, grpc.WaitForReady(true))
				done <- err
			})
			select {
			case err := <-done:
				require.Fail(t, "the call did not wait", "%v", err)
			case <-time.After(50 * time.Millisecond):
			}
			w.register(v1)
			require.NoError(t, <-done)
		})
	}
}

func TestAQueuedCallFollowsAChangeOfTheRules(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v2}`)
	v1 := newProvider(t, "v1")
	w.registry.Set(greeter, v1.instance(), hangs(t, "v2"))
	_, c := w.dial(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan error, 1)
	wg.Go(func() {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		done <- err
	})
	require.Eventually(t, func() bool { return v1.opened.Load() == 1 }, patience, time.Millisecond)
	select {
	case err := <-done:
		require.Fail(t, "the call did not wait", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	w.rule(`{gray: v1, default: v1}`)
	require.NoError(t, <-done)
	assert.Equal(t, int64(1), v1.calls.Load())
}

// Waiting must not be a second chance: a call that drew the target that is not
// ready would end up at the other one.
func TestQueuedCallsKeepTheirSlot(t *testing.T) {
	w := newWorld(t, "{gray: v1, default: v1}")
	v1, v2 := newProvider(t, "v1"), hangs(t, "v2")
	w.registry.Set(greeter, v1.instance(), v2)
	_, c := w.dial(t)
	warm(t, c, v1)
	half := "gray: v1\ndefault: v1\nrules:\n- {name: half, to: {v2: 50%}}\n"
	w.rule(half)
	view, err := w.resolver.View(greeter, "grpc")
	require.NoError(t, err)
	defer view.Close()
	require.Eventually(t, func() bool { return view.State().Revision() == config.NewDoc([]byte(half)).MD5 }, patience, time.Millisecond)
	const calls = 100
	ctx, cancel := context.WithCancel(calling(t, ""))
	var waiting sync.WaitGroup
	var answered atomic.Int64
	before := v1.calls.Load()
	for range calls {
		waiting.Go(func() {
			if _, err := c.Say(ctx, &hello.HelloRequest{}, grpc.WaitForReady(true)); err == nil {
				answered.Add(1)
			}
		})
	}
	for i := range 20 { // each change makes gRPC pick again for those that wait
		v2.Weight = uint32(1000 + i)
		w.registry.Set(greeter, v1.instance(), v2)
	}
	require.Eventually(t, func() bool { return answered.Load() >= calls/2-1 }, patience, time.Millisecond)
	for i := range 20 {
		v2.Weight = uint32(2000 + i)
		w.registry.Set(greeter, v1.instance(), v2)
		require.Never(t, func() bool { return answered.Load() > calls/2+1 }, 5*time.Millisecond, time.Millisecond)
	}
	cancel()
	waiting.Wait()
	assert.InDelta(t, calls/2, v1.calls.Load()-before, 1, "the walk gives v1 half of them, and no more")
}

const retrying = `{"methodConfig": [{
	"name": [{}],
	"retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

func TestARetryGoesToAnotherInstanceOfTheSameTarget(t *testing.T) {
	w := newWorld(t, byHeader)
	v1 := newProvider(t, "v1")
	v2 := []*provider{newProvider(t, "v2"), newProvider(t, "v2"), newProvider(t, "v2")}
	all := append([]*provider{v1}, v2...)
	w.register(all...)
	_, c := w.dial(t, grpcx.WithServiceConfig(retrying))
	warm(t, c, all...)
	for _, p := range all {
		p.calls.Store(0)
	}

	v2[0].fail.Store(uint32(codes.Unavailable))
	v2[1].fail.Store(uint32(codes.Unavailable))
	ctx := calling(t, "v2")
	const calls = 30
	for range calls {
		reply, err := c.Say(ctx, &hello.HelloRequest{})
		require.NoError(t, err)
		require.Equal(t, v2[2].addr, reply.GetInstance())
	}
	assert.Equal(t, int64(calls), v2[2].calls.Load())
	assert.LessOrEqual(t, v2[0].calls.Load(), int64(calls), "no call tries an instance twice while there are others")
	assert.LessOrEqual(t, v2[1].calls.Load(), int64(calls))

	v2[2].fail.Store(uint32(codes.Unavailable))
	_, err := c.Say(ctx, &hello.HelloRequest{})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "as the test wants", "the server's own error")
	assert.Zero(t, v1.calls.Load(), "no retry goes to another version")
}

func TestARetryKeepsItsDecision(t *testing.T) {
	w := newWorld(t, byHeader)
	v1, v2 := newProvider(t, "v1"), newProvider(t, "v2")
	w.register(v1, v2)
	_, c := w.dial(t, grpcx.WithServiceConfig(`{"methodConfig": [{
		"name": [{}],
		"retryPolicy": {
			"maxAttempts": 2, "initialBackoff": "2s", "maxBackoff": "2s", "backoffMultiplier": 1,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]}`))
	warm(t, c, v1, v2)
	v1.calls.Store(0)
	v2.calls.Store(0)

	v2.fail.Store(uint32(codes.Unavailable))
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan error, 1)
	wg.Go(func() {
		_, err := c.Say(calling(t, "v2"), &hello.HelloRequest{}, grpc.WaitForReady(true))
		done <- err
	})
	require.Eventually(t, func() bool { return v2.calls.Load() == 1 }, patience, time.Millisecond)
	w.register(v1) // during the backoff; the only candidate is gone
	err := <-done
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.ErrorIs(t, err, balancer.ErrSkipped)
	assert.Zero(t, v1.calls.Load(), "a retry never goes to another version")
}
