package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry/memory"
)

// What attempts end with. A view of no protocol takes statuses for HTTP's.
func refused() Outcome {
	return Outcome{Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
}

func status(code int) Outcome { return Outcome{Status: code} }

// sends sends a request until it may not be sent again; every attempt ends with o. It
// returns the addresses.
func sends(ctx context.Context, t *testing.T, v *View, o Outcome, safe bool) (to []string) {
	t.Helper()
	c, err := v.Pick(ctx, request{}, nil)
	for {
		require.NoError(t, err)
		to = append(to, c.Addr())
		require.Equal(t, len(to), c.Attempt)
		c.Done(ctx, o)
		if !c.Retry(ctx, o, safe) {
			return to
		}
		c, err = c.Next(ctx, nil)
	}
}

func TestWhatIsSentAgain(t *testing.T) {
	plain := func(ctx context.Context) context.Context { return ctx }
	ended := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx
	}
	for name, c := range map[string]struct {
		ctx     func(context.Context) context.Context
		outcome Outcome
		safe    bool
		want    int // sends
	}{
		"an answer":                             {plain, status(200), true, 1},
		"an application's error":                {plain, status(500), true, 1},
		"not found":                             {plain, status(404), true, 1},
		"a failure, safe":                       {plain, status(503), true, 3},
		"a failure, not safe":                   {plain, status(503), false, 1},
		"no answer, safe":                       {plain, Outcome{Err: errors.New("reset")}, true, 3},
		"no answer, not safe":                   {plain, Outcome{Err: errors.New("reset")}, false, 1},
		"unreachable":                           {plain, refused(), false, 3},
		"unsent":                                {plain, Outcome{Err: fmt.Errorf("x: %w", ErrUnsent)}, false, 3},
		"its caller left":                       {plain, Outcome{Err: context.Canceled}, true, 1},
		"part of a retry":                       {lane.WithRetried, status(503), true, 1},
		"part of a retry, unreachable":          {lane.WithRetried, refused(), false, 3},
		"part of a retry, unsent":               {lane.WithRetried, Outcome{Err: ErrUnsent}, false, 3},
		"its context has ended":                 {ended, status(503), true, 1},
		"its context has ended and unreachable": {ended, refused(), true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := memory.New()
				reg.Set(order, fleet(5)...)
				r, v := open(t, reg, nil)
				defer r.Close()
				require.NoError(t, v.Ready(t.Context()))
				begin := time.Now()
				to := sends(c.ctx(t.Context()), t, v, c.outcome, c.safe)
				assert.Len(t, to, c.want)
				seen := map[string]bool{}
				for _, addr := range to {
					assert.False(t, seen[addr], "no instance twice while there is another: %v", to)
					seen[addr] = true
				}
				if c.outcome.verdict("") == balancer.Bad {
					assert.LessOrEqual(t, time.Since(begin), 75*time.Millisecond)
				} else {
					assert.Zero(t, time.Since(begin), "what was not sent waits for nothing")
				}
			})
		})
	}
}

func TestWaitsAreRandomAndGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(10)...)
		r, v := open(t, reg, nil, WithRetries(MaxRetries))
		defer r.Close()
		longest := [MaxRetries + 1]time.Duration{}
		const rounds = 300
		for range rounds {
			r.budget.balance = retryBurst
			c, err := v.Pick(t.Context(), request{}, nil)
			require.NoError(t, err)
			for c.Attempt <= MaxRetries {
				c.Done(t.Context(), Outcome{})
				begin := time.Now()
				require.True(t, c.Retry(t.Context(), status(503), true))
				longest[c.Attempt] = max(longest[c.Attempt], time.Since(begin))
				c, err = c.Next(t.Context(), nil)
				require.NoError(t, err)
			}
			c.Done(t.Context(), Outcome{})
		}
		for attempt, most := range map[int]time.Duration{
			1: 25 * time.Millisecond, 2: 50 * time.Millisecond, 3: 100 * time.Millisecond,
			4: 200 * time.Millisecond, 5: 250 * time.Millisecond,
		} {
			assert.LessOrEqual(t, longest[attempt], most)
			assert.Greater(t, longest[attempt], most*9/10, "of %d", rounds)
		}
	})
}

func TestALimitSaysHowOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		reg.Set(order, fleet(10)...)
		src.say("")
		for most := range MaxRetries + 1 {
			r, v := open(t, reg, src, WithRetries(most))
			require.NoError(t, v.Ready(t.Context()))
			assert.Len(t, sends(t.Context(), t, v, status(503), true), most+1, "WithRetries(%d)", most)
			r.Close()
		}
		r, v := open(t, reg, src, WithRetries(1))
		defer r.Close()
		for most := range MaxRetries + 1 {
			src.say(fmt.Sprintf("gray: v1\ndefault: v1\nlimits: {v1: {retries: %d}}\n", most))
			synctest.Wait()
			require.NoError(t, v.Ready(t.Context()))
			time.Sleep(time.Minute) //nolint:forbidigo // fake time
			assert.Len(t, sends(t.Context(), t, v, status(503), true), most+1, "retries: %d", most)
			assert.Len(t, sends(t.Context(), t, v, refused(), false), most+1, "what is not sent too")
		}
		for text, want := range map[string]time.Duration{
			"gray: v1\ndefault: v1\nlimits: {v1: {timeout: 1500ms}}\n":             1500 * time.Millisecond,
			"gray: v1\ndefault: v1\nlimits: {v2: {timeout: 1500ms, retries: 5}}\n": 0, // of another target
			"gray: v1\ndefault: v1\n": 0,
		} {
			src.say(text)
			synctest.Wait()
			time.Sleep(time.Minute) //nolint:forbidigo // fake time
			c, err := v.Pick(t.Context(), request{}, nil)
			require.NoError(t, err)
			c.Done(t.Context(), Outcome{})
			assert.Equal(t, want, c.Timeout())
			assert.Len(t, sends(t.Context(), t, v, status(503), true), 2, "WithRetries goes for it: %s", text)
		}
	})
	for _, n := range []int{-1, MaxRetries + 1} {
		_, err := New(memory.New(), nil, WithRetries(n))
		require.ErrorContains(t, err, "WithRetries")
	}
}

func TestRetriesStayWithTheirVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		reg.Set(order, append(fleet(5), instance("10.0.0.100:1", "v2"))...)
		src.say(toV2)
		r, v := open(t, reg, src)
		defer r.Close()
		for range 20 {
			for _, addr := range sends(t.Context(), t, v, refused(), true) {
				require.Equal(t, "10.0.0.100:1", addr, "the tried one, rather than another version")
			}
		}
		c, err := v.Pick(t.Context(), request{}, nil)
		require.NoError(t, err)
		c.Done(t.Context(), refused())
		src.say(toV1) // what the request was decided on stays
		synctest.Wait()
		require.True(t, c.Retry(t.Context(), refused(), true))
		n, err := c.Next(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "10.0.0.100:1", n.Addr())
		assert.Same(t, c.State, n.State)
		n.Done(t.Context(), Outcome{})
	})
}

func TestNextIsAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(4)...)
		r, v := open(t, reg, nil, WithPolicy(config.Hash))
		defer r.Close()
		for i := range 100 {
			ctx := WithHashKey(t.Context(), fmt.Sprint("key", i)) // which says who it is
			c, err := v.Pick(ctx, request{}, nil)
			seen := map[string]bool{}
			for range 4 {
				require.NoError(t, err)
				require.False(t, seen[c.Addr()])
				seen[c.Addr()] = true
				c.Done(ctx, status(200))
				c, err = c.Next(ctx, nil)
			}
			require.NoError(t, err)
			require.True(t, seen[c.Addr()], "there is no other")
			c.Done(ctx, status(200))
		}
	})
}

func TestNoRetryThatCannotEnd(t *testing.T) { // F54
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(2)...)
		r, v := open(t, reg, nil)
		defer r.Close()
		for range 20 { // 100 ms is what an answer takes
			c, err := v.Pick(t.Context(), request{}, nil)
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // fake time
			c.Done(t.Context(), status(200))
		}
		for _, o := range []Outcome{status(503), refused()} {
			for left, want := range map[time.Duration]bool{
				50 * time.Millisecond: false, 99 * time.Millisecond: false, 126 * time.Millisecond: true, time.Second: true,
			} {
				ctx, cancel := context.WithTimeout(t.Context(), left)
				c, err := v.Pick(ctx, request{}, nil)
				require.NoError(t, err)
				c.Done(ctx, status(200))
				before := r.budget.balance
				begin := time.Now()
				assert.Equal(t, want, c.Retry(ctx, o, true), "%s left, %+v", left, o)
				if !want {
					assert.Zero(t, time.Since(begin), "it says so at once")
					assert.InDelta(t, before, r.budget.balance, 0, "and costs nothing")
				}
				cancel()
				r.budget.balance = 10
			}
		}
		// A context that ends during the wait ends it.
		ctx, cancel := context.WithCancel(t.Context())
		c, err := v.Pick(ctx, request{}, nil)
		require.NoError(t, err)
		c.Done(ctx, status(503))
		var end time.Time
		time.AfterFunc(1, func() {
			end = time.Now()
			cancel()
		})
		for c.Retry(ctx, status(503), true) {
			require.NoError(t, ctx.Err(), "it has ended")
		}
		require.Error(t, ctx.Err())
		assert.Equal(t, end, time.Now(), "at once")
		r.budget.balance = 10
		require.False(t, c.Retry(ctx, status(503), true))
		assert.InDelta(t, 10, r.budget.balance, 0, "that costs nothing")
	})
}

func TestAnOutageIsNotMadeWorse(t *testing.T) { // F52
	for name, o := range map[string]Outcome{"503": status(503), "reset": {Err: errors.New("reset")}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := memory.New()
				reg.Set(order, fleet(5)...)
				r, v := open(t, reg, nil)
				defer r.Close()
				require.NoError(t, v.Ready(t.Context()))
				const rate, seconds = 2000, 60
				var (
					wg    sync.WaitGroup
					count atomic.Int64
				)
				for range rate * seconds {
					wg.Go(func() { count.Add(int64(len(sends(t.Context(), t, v, o, true)))) })
					time.Sleep(time.Second / rate) //nolint:forbidigo // fake time
				}
				wg.Wait()
				most := 1.1*rate*seconds + 10*seconds
				assert.LessOrEqual(t, float64(count.Load()), most)
				assert.Greater(t, float64(count.Load()), 1.08*rate*seconds, "what there is of it is used")
				t.Logf("FIGURE F52 %s: %d sends of %d requests in %d s, x %.4f; at most %.0f",
					name, count.Load(), rate*seconds, seconds, float64(count.Load())/(rate*seconds), most)
			})
		})
	}
}

func TestTheBudget(t *testing.T) {
	second := int64(time.Second)
	taken := func(b *budget, now int64) (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	b := newBudget()
	assert.Equal(t, 10, taken(b, 1), "a new client has something to begin with")
	assert.Equal(t, 1, taken(b, second/10+1))
	assert.Equal(t, 5, taken(b, second/10+1+second/2))
	b.requests.Add(500)
	assert.InDelta(t, 50, taken(b, second), 6)
	b.requests.Add(1_000_000)
	assert.Equal(t, 100, taken(b, 10*second), "no more at once")
	assert.Equal(t, 100, taken(b, 1000*second))
	assert.Zero(t, taken(b, 1000*second))

	var wg sync.WaitGroup
	var n atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if b.take(1002 * second) {
					n.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 2*retryRate, n.Load())
	const requests = 1_000_000
	for range requests {
		b.count()
	}
	assert.InEpsilon(t, requests, b.requests.Load(), 0.03)
}

func TestIdempotentIsOfTheContext(t *testing.T) {
	assert.False(t, Idempotent(t.Context()))
	assert.True(t, Idempotent(WithIdempotent(t.Context())))
}

func TestNoCounterDrifts(t *testing.T) { // F55
	const requests = 10_000
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(4)...)
		r, v := open(t, reg, nil, WithRetries(3))
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		var wg sync.WaitGroup
		for range requests {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				life := time.Duration(rand.Int64N(int64(300 * time.Millisecond)))
				if rand.IntN(2) == 0 {
					ctx, cancel = context.WithTimeout(ctx, life)
				} else {
					time.AfterFunc(life, cancel)
				}
				defer cancel()
				r.budget.mu.Lock()
				r.budget.balance = retryBurst
				r.budget.mu.Unlock()
				wander(ctx, t, v)
			})
		}
		wg.Wait()
		// That nobody waits can be seen by the silence that would be suspicious.
		later := r.now() + int64(time.Hour)
		for i := range 4 {
			e := v.State().Director.Endpoint(i)
			assert.Zero(t, e.InFlight())
			assert.False(t, e.Ejected(later), "somebody seems to wait")
		}
		for range 100 {
			c, err := v.Pick(t.Context(), request{}, nil)
			require.NoError(t, err)
			c.Decision.Begin(c.endpoint, r.now()) // one alone may just take long
			assert.True(t, c.endpoint.Ejected(later), "two wait, and not one")
			c.endpoint.Unheard()
			c.Decision.Done(c.endpoint)
			c.Done(t.Context(), Outcome{})
			assert.False(t, c.endpoint.Ejected(later))
		}
	})
}

// wander is a request that goes through the steps of a call at random, until ctx ends.
func wander(ctx context.Context, t *testing.T, v *View) {
	t.Helper()
	some := func() bool {
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(100 * time.Millisecond)))):
			return true
		case <-ctx.Done():
			return false
		}
	}
	c, err := v.Pick(ctx, request{}, nil)
	for err == nil {
		o := Outcome{Status: []int{200, 404, 503}[rand.IntN(3)]}
		switch {
		case rand.IntN(10) == 0:
			o = refused()
		case !some():
			o = Outcome{Err: ctx.Err()}
		default:
			if rand.IntN(2) == 0 {
				c.Began(o)
			}
			if rand.IntN(5) == 0 {
				c.Streaming()
			}
			if rand.IntN(5) == 0 {
				c.Answered()
			}
			if !some() {
				o.Err = ctx.Err()
			}
		}
		c.Done(ctx, o)
		if !c.Retry(ctx, o, rand.IntN(2) == 0) {
			return
		}
		c, err = c.Next(ctx, nil)
	}
}
