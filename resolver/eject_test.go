package resolver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/registry/memory"
)

// eventLog collects events.
type eventLog struct {
	mu     sync.Mutex
	events []Event
}

func (l *eventLog) hooks() Option {
	return WithHooks(Hooks{OnEvent: func(e Event) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, e)
	}})
}

// take returns what has come since the last take.
func (l *eventLog) take() (out []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, l.events = l.events, nil
	return out
}

// ask sends one request that ends at once with what its instance answers.
func ask(t *testing.T, v *View, answer func(addr string) Outcome) string {
	t.Helper()
	c, err := v.Pick(t.Context(), request{}, nil)
	require.NoError(t, err)
	c.Done(t.Context(), answer(c.Addr()))
	return c.Addr()
}

func TestEjectionsAreEvents(t *testing.T) {
	const bad = "10.0.0.2:1"
	reset := errors.New("connection reset")
	for name, c := range map[string]struct {
		protocol string
		outcome  Outcome
		attempts int // at the bad one
		reason   string
	}{
		"unreachable": {"", refused(), 1, "connection refused"},
		"503":         {"http", status(503), 5, "http status 503"},
		"unavailable": {"grpc", status(14), 5, "grpc code 14"},
		"deadline":    {"grpc", status(4), 5, "grpc code 4"},
		"reset":       {"http", Outcome{Err: reset}, 5, reset.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg, log := memory.New(), &eventLog{}
				reg.Set(order, fleet(4)...)
				r, err := New(reg, nil, log.hooks())
				require.NoError(t, err)
				defer r.Close()
				v, err := r.View(order, c.protocol)
				require.NoError(t, err)
				attempts := 0
				fails := func(addr string) Outcome {
					if addr == bad {
						attempts++
						return c.outcome
					}
					return status(0)
				}
				for range 400 {
					ask(t, v, fails)
				}
				assert.Equal(t, c.attempts, attempts)
				events := log.take()
				require.Len(t, events, 1, "once")
				assert.Equal(t, InstanceEjected, events[0].Kind)
				assert.Equal(t, bad, events[0].Addr)
				assert.Equal(t, order.WithDefaults(), events[0].Service)
				require.ErrorContains(t, events[0].Err, c.reason)

				time.Sleep(2 * time.Second) //nolint:forbidigo // fake time
				for range 400 {
					ask(t, v, func(string) Outcome { return status(0) })
				}
				assert.Equal(t, []Event{{Kind: InstanceReturned, Service: order.WithDefaults(), Addr: bad}}, log.take())
			})
		})
	}
}

func TestApplicationErrorsEjectNobody(t *testing.T) { // F8
	for protocol, codes := range map[string][]int{
		"http": {400, 401, 404, 409, 429, 500, 501, 505},
		"grpc": {1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 502, 503, 504},
	} {
		synctest.Test(t, func(t *testing.T) {
			reg, log := memory.New(), &eventLog{}
			reg.Set(order, fleet(4)...)
			r, err := New(reg, nil, log.hooks())
			require.NoError(t, err)
			defer r.Close()
			v, err := r.View(order, protocol)
			require.NoError(t, err)
			counts := map[string]int{}
			for i := range 4000 {
				counts[ask(t, v, func(string) Outcome { return status(codes[i%len(codes)]) })]++
			}
			assert.Empty(t, log.take())
			for _, n := range counts {
				assert.InDelta(t, 1000, n, 5, "%v", counts)
			}
		})
	}
}

func TestAnOutageOfAllIsNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, log := memory.New(), &eventLog{}
		reg.Set(order, fleet(4)...)
		r, v := open(t, reg, nil, log.hooks())
		defer r.Close()
		for range 4000 { // ten seconds
			ask(t, v, func(string) Outcome { return refused() })
			time.Sleep(2500 * time.Microsecond) //nolint:forbidigo // fake time
		}
		n := len(log.take())
		assert.LessOrEqual(t, n, 4*5, "each when it fails, and when it is tried")
		assert.GreaterOrEqual(t, n, 4)
		for range 16 { // they are back, and so is the traffic
			ask(t, v, func(string) Outcome { return status(200) })
		}
		assert.Len(t, log.take(), 4)
		counts := map[string]int{}
		for range 400 {
			counts[ask(t, v, func(string) Outcome { return status(200) })]++
		}
		assert.Len(t, counts, 4)
	})
}

func TestAPauseOfTheConsumerEjectsNobody(t *testing.T) { // F44
	const pause = time.Minute
	for name, doc := range map[string]string{
		"their deadlines": "", "the document's limits": "gray: v1\ndefault: v1\nlimits: {v1: {timeout: 1s}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg, src, log := memory.New(), newSource(), &eventLog{}
				reg.Set(order, fleet(4)...)
				src.say(doc)
				r, v := open(t, reg, src, log.hooks())
				defer r.Close()
				require.NoError(t, v.Ready(t.Context()))
				run := func() {
					for range 400 {
						ask(t, v, func(string) Outcome { return status(200) })
					}
				}
				run()
				var calls []Call
				var ctxs []context.Context
				for range 400 {
					ctx := t.Context()
					if doc == "" {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
						t.Cleanup(cancel)
					}
					c, err := v.Pick(ctx, request{}, nil)
					require.NoError(t, err)
					calls, ctxs = append(calls, c), append(ctxs, ctx)
				}
				// Nothing runs for a minute, and then all that has waited ends.
				time.Sleep(pause) //nolint:forbidigo // fake time
				for i := range calls {
					calls[i].Done(ctxs[i], Outcome{Err: context.DeadlineExceeded})
				}
				assert.Empty(t, log.take())
				counts := map[string]int{}
				for range 400 {
					counts[ask(t, v, func(string) Outcome { return status(200) })]++
				}
				assert.Len(t, counts, 4)
				for _, n := range counts {
					assert.InDelta(t, 100, n, 3, "%v", counts)
				}

				// The same in time: that are failures.
				for range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					call, err := v.Pick(ctx, request{}, nil)
					require.NoError(t, err)
					time.Sleep(time.Second + 50*time.Millisecond) //nolint:forbidigo // fake time: busy, but not stopped
					call.Done(ctx, Outcome{Err: context.DeadlineExceeded})
					cancel()
				}
				assert.NotEmpty(t, log.take())
			})
		})
	}
}

// load is what a run of requests came to.
type load struct {
	failed, atBad atomic.Int64
	last          atomic.Int64 // when the last one failed, in ns since the fault began
}

// run sends rate requests a second for d, the first instance answers as the fault does.
// Each has a deadline and is sent again where that is allowed.
func run(t *testing.T, v *View, rate int, d, deadline time.Duration, safe bool, fault func(ctx context.Context) Outcome) *load {
	t.Helper()
	l, begin := &load{}, time.Now()
	one := func() {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		c, err := v.Pick(ctx, request{}, nil)
		for {
			if err != nil {
				l.failed.Add(1)
				return
			}
			var o Outcome
			if fault != nil && c.Addr() == "10.0.0.1:1" {
				l.atBad.Add(1)
				o = fault(ctx)
			} else {
				time.Sleep(2 * time.Millisecond) //nolint:forbidigo // fake time
				o = status(200)
			}
			c.Done(ctx, o)
			if o.verdict("") == balancer.Good {
				return
			}
			if !c.Retry(ctx, o, safe) {
				l.failed.Add(1)
				l.last.Store(int64(time.Since(begin)))
				return
			}
			c, err = c.Next(ctx, nil)
		}
	}
	var wg sync.WaitGroup
	for range int(d.Seconds() * float64(rate)) {
		wg.Go(one)
		time.Sleep(time.Second / time.Duration(rate)) //nolint:forbidigo // fake time
	}
	wg.Wait()
	return l
}

// under runs 400 requests a second without a fault and then with one.
func under(t *testing.T, d, deadline time.Duration, safe bool, fault func(ctx context.Context) Outcome) (l *load) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(4)...)
		r, v := open(t, reg, nil)
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		control := run(t, v, 400, 5*time.Second, deadline, safe, nil)
		require.Zero(t, control.failed.Load())
		l = run(t, v, 400, d, deadline, safe, fault)
		assert.Zero(t, v.State().Director.Endpoint(1).InFlight())
	})
	return l
}

func TestOneThatAnswers503(t *testing.T) { // F7
	for safe, most := range map[bool]int64{true: 0, false: 20} {
		l := under(t, 30*time.Second, 2*time.Second, safe, func(context.Context) Outcome { return status(503) })
		assert.LessOrEqual(t, l.failed.Load(), most)
		assert.LessOrEqual(t, l.atBad.Load(), int64(20))
		assert.Positive(t, l.atBad.Load())
		t.Logf("FIGURE F7: 1 of 4 answers 503 for 30 s, 400/s, idempotent %t: failed %d of 12000, attempts at it %d",
			safe, l.failed.Load(), l.atBad.Load())
	}
}

func TestOneThatHangs(t *testing.T) { // F4
	const requests = 8 * 400
	for _, safe := range []bool{true, false} {
		l := under(t, 8*time.Second, 500*time.Millisecond, safe, func(ctx context.Context) Outcome {
			<-ctx.Done()
			return Outcome{Err: ctx.Err()}
		})
		assert.Less(t, l.failed.Load(), int64(requests*7/1000))
		t.Logf("FIGURE F4: 1 of 4 hangs for 8 s, 400/s, 500 ms: failed %d of %d, %.2f %%, the last after %s",
			l.failed.Load(), requests, 100*float64(l.failed.Load())/requests, time.Duration(l.last.Load()).Round(time.Millisecond))
	}
}

func TestOneThatIsGone(t *testing.T) { // F2, F3
	for _, safe := range []bool{true, false} {
		l := under(t, 8*time.Second, 2*time.Second, safe, func(context.Context) Outcome { return refused() })
		assert.Zero(t, l.failed.Load())
		assert.LessOrEqual(t, l.atBad.Load(), int64(6))
		t.Logf("FIGURE 1 of 4 is gone for 8 s, 400/s, idempotent %t: failed %d, attempts at it %d", safe, l.failed.Load(), l.atBad.Load())
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := InstanceEjected; k <= FromCache; k++ {
		name := k.String()
		assert.NotEmpty(t, name)
		assert.False(t, seen[name], name)
		seen[name] = true
	}
	assert.Empty(t, Kind(0).String())
	assert.Empty(t, (FromCache + 1).String())
}
