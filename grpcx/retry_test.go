package grpcx_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// pair is a world of two instances of v2, of which the first is to fail, and one of
// v1.
func pair(t *testing.T, rules string) (bad, good *provider, c hello.HelloClient) {
	t.Helper()
	w := newWorld(t, rules)
	v1 := newProvider(t, "v1")
	bad, good = newProvider(t, "v2"), newProvider(t, "v2")
	w.register(v1, bad, good)
	_, c = w.dial(t)
	warm(t, c, v1, bad, good)
	calls := v1.calls.Load()
	t.Cleanup(func() { assert.Equal(t, calls, v1.calls.Load(), "another version is never asked") })
	bad.calls.Store(0)
	return bad, good, c
}

func TestAnIdempotentCallGoesToAnotherInstance(t *testing.T) {
	bad, good, c := pair(t, byHeader)
	bad.fail.Store(uint32(codes.Unavailable))
	say := func(ctx context.Context) error {
		_, err := c.Say(ctx, &hello.HelloRequest{})
		return err
	}
	failed := 0
	for i := 0; i < 100 && (i < 4 || failed == 0); i++ { // five failures would eject it
		if err := say(calling(t, "v2")); err != nil {
			require.Equal(t, codes.Unavailable, status.Code(err))
			failed++
		}
	}
	require.Positive(t, failed)
	assert.Equal(t, int64(failed), bad.calls.Load(), "it may have been carried out: who does not say that this is harmless gets the error")
	assert.Empty(t, good.header(lane.HeaderAttempt))
	marked, again := resolver.WithIdempotent(calling(t, "v2")), 0
	for i := 0; i < 100 && (i < 4 || again == 0); i++ {
		require.NoError(t, say(marked))
		again += len(good.header(lane.HeaderAttempt))
	}
	assert.Equal(t, int64(failed+again), bad.calls.Load(), "what is sent again says so")
	require.Positive(t, again)
}

func TestAnAnswerIsNotAskedForAgain(t *testing.T) {
	bad, _, c := pair(t, byHeader)
	bad.fail.Store(uint32(codes.NotFound))
	failed := 0
	for range 40 {
		if _, err := c.Say(resolver.WithIdempotent(calling(t, "v2")), &hello.HelloRequest{}); err != nil {
			require.Equal(t, codes.NotFound, status.Code(err))
			failed++
		}
	}
	assert.InDelta(t, 20, failed, 5, "and it ejects nobody")
}

func TestPartsOfARetryAreNotSentAgain(t *testing.T) {
	bad, _, c := pair(t, byHeader)
	bad.fail.Store(uint32(codes.Unavailable))
	failed := 0
	for i := 0; i < 100 && (i < 4 || failed == 0); i++ {
		if _, err := c.Say(lane.WithRetried(resolver.WithIdempotent(calling(t, "v2"))), &hello.HelloRequest{}); err != nil {
			failed++
		}
	}
	assert.Equal(t, int64(failed), bad.calls.Load())
	assert.Positive(t, failed)
}

func TestTheDocumentLimitsAttempts(t *testing.T) {
	bad, _, c := pair(t, byHeader+"limits: {v2: {timeout: 1s, retries: 1}}\n")
	bad.hangs.Store(true)
	failed := 0
	for range 2 {
		if _, err := c.Say(calling(t, "v2"), &hello.HelloRequest{}); err != nil {
			failed++
			require.Equal(t, codes.DeadlineExceeded, status.Code(err))
			require.ErrorContains(t, err, "no answer within 1s, the limit of the rule document")
		}
	}
	assert.LessOrEqual(t, failed, 2)
	for range 2 {
		_, err := c.Say(resolver.WithIdempotent(calling(t, "v2")), &hello.HelloRequest{})
		require.NoError(t, err)
	}
}

// restarted serves another process at the address of a provider that has ended.
func (p *provider) restarted(tb testing.TB) *provider {
	tb.Helper()
	next := &provider{addr: p.addr, version: p.version}
	var ln net.Listener
	require.Eventually(tb, func() (ok bool) {
		var err error
		ln, err = new(net.ListenConfig).Listen(tb.Context(), "tcp", p.addr)
		return err == nil
	}, patience, time.Millisecond)
	s := grpc.NewServer(grpc.StatsHandler((*opened)(next)))
	hello.RegisterHelloServer(s, next)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) })
	next.stop = sync.OnceFunc(func() { s.Stop(); wg.Wait() })
	tb.Cleanup(next.stop)
	return next
}

// gRPC waits longer and longer before it connects again to an address that failed; a
// process that was started again there has not failed yet.
func TestAProcessThatWasStartedAgainIsConnectedToAtOnce(t *testing.T) {
	w := newWorld(t, "")
	p := newProvider(t, "v1")
	registered := func(p *provider, boot string) {
		in := p.instance()
		in.Metadata[registry.KeyBoot] = boot
		w.registry.Set(greeter, in)
	}
	registered(p, "one")
	never := backoff.Config{BaseDelay: time.Hour, Multiplier: 1, MaxDelay: time.Hour}
	_, c := w.dial(t, grpc.WithConnectParams(grpc.ConnectParams{Backoff: never, MinConnectTimeout: patience}))
	warm(t, c, p)
	p.stop()
	require.Eventually(t, func() bool {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		return err != nil
	}, patience, time.Millisecond)
	next := p.restarted(t)
	registered(next, "two")
	warm(t, c, next)
}

func TestWhoLeavesSaysSo(t *testing.T) {
	var leaving atomic.Bool
	w := newWorld(t, "", resolver.WithHooks(resolver.Hooks{
		OnDone: func(_ context.Context, _ resolver.Call, o resolver.Outcome, _ time.Duration) {
			if o.Leaving {
				leaving.Store(true)
			}
		},
	}))
	s := serve(t, w.registry, newGreeting().register, grpcx.WithLinger(patience))
	_, c := w.dial(t)
	_, err := c.Say(calling(t, ""), &hello.HelloRequest{}, grpc.WaitForReady(true))
	require.NoError(t, err)
	require.False(t, leaving.Load())
	s.stop()
	require.Eventually(t, func() bool {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		return leaving.Load() || err != nil
	}, patience, time.Millisecond)
	assert.True(t, leaving.Load(), "it is held, and says that the registry is right")
	require.Eventually(t, func() bool {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
		return errors.Is(err, balancer.ErrNoInstance)
	}, patience, time.Millisecond)
}

func TestWhatFailsOnThisSideSpeaksAgainstNobody(t *testing.T) {
	var ejected atomic.Int64
	w := newWorld(t, "", resolver.WithHooks(resolver.Hooks{OnEvent: func(resolver.Event) { ejected.Add(1) }}))
	ps := []*provider{newProvider(t, "v1"), newProvider(t, "v1")}
	w.register(ps...)
	_, c := w.dial(t)
	warm(t, c, ps...)
	for range 20 {
		_, err := c.Say(calling(t, ""), &hello.HelloRequest{Name: "a long one"}, grpc.MaxCallSendMsgSize(1))
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
	}
	assert.Zero(t, ejected.Load())
}
