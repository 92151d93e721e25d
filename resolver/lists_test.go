package resolver

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// listening is who listens, for probes.
type listening struct {
	mu  sync.Mutex
	off map[string]bool
}

func (l *listening) stop(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off[addr] = true
}

func (l *listening) start(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.off, addr)
}

func (l *listening) stopped(addr string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.off[addr]
}

func (l *listening) dial(_ context.Context, _, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off[addr] {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	a, b := net.Pipe()
	return a, b.Close()
}

// protected is a view with a hold and its events.
func protected(t *testing.T, reg *memory.Registry) (r *Resolver, v *View, l *listening, events *[]Event) {
	t.Helper()
	l, events = &listening{off: map[string]bool{}}, &[]Event{}
	r, v = open(t, reg, nil, WithSlowStart(0), WithHold(DefaultHold), func(o *options) { o.dial = l.dial },
		WithHooks(Hooks{OnEvent: func(e Event) { *events = append(*events, e) }}))
	require.NoError(t, v.Ready(t.Context()))
	return r, v, l, events
}

// shares returns how many of n requests each instance got.
func shares(t *testing.T, v *View, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		got[pick(t, v, request{})]++
	}
	return got
}

func TestAnEmptyListIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(5)...)
		r, v, _, events := protected(t, reg)
		reg.Set(order)
		synctest.Wait()
		assert.Len(t, shares(t, v, 100), 5)
		reg.Set(order, fleet(5)...)
		synctest.Wait()
		assert.Equal(t, []Event{
			{Kind: ListHeld, Service: v.Service(), Instances: 5}, {Kind: ListSettled, Service: v.Service()},
		}, *events)
		require.NoError(t, r.Close())
	})
}

func TestAMassLossLeavesNoHotSpot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(100)...)
		r, v, l, _ := protected(t, reg)
		reg.Set(order, fleet(1)...)
		synctest.Wait()
		most := 0
		for _, n := range shares(t, v, 1000) {
			most = max(most, n)
		}
		assert.LessOrEqual(t, most, 15, "1.5 times a fair share")
		for _, in := range fleet(100)[50:] {
			l.stop(in.Addr)
		}
		time.Sleep(3 * time.Second) //nolint:forbidigo // fake time
		synctest.Wait()
		assert.Equal(t, 50, v.State().Snapshot.Len(), "who is there is used, who is not has gone")
		time.Sleep(DefaultHold) //nolint:forbidigo // fake time
		synctest.Wait()
		assert.Equal(t, 1, v.State().Snapshot.Len(), "in the end the registry is right")
		require.NoError(t, r.Close())
	})
}

func TestARealScaleToZeroConverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(5)...)
		r, v, l, events := protected(t, reg)
		for _, in := range fleet(5) {
			l.stop(in.Addr)
		}
		start := time.Now()
		reg.Set(order)
		for v.State().Snapshot.Len() > 0 {
			time.Sleep(time.Millisecond) //nolint:forbidigo // fake time
			synctest.Wait()
		}
		took := time.Since(start)
		assert.LessOrEqual(t, took, 5*time.Second)
		assert.Equal(t, ListSettled, (*events)[len(*events)-1].Kind)
		t.Logf("FIGURE hold: a real scale to zero is through after %s", took)
		require.NoError(t, r.Close())
	})
}

func TestTheListOfTheCacheIsDefendedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(t, "")
		reg := &late{Registry: memory.New(), from: time.Now().Add(3 * time.Second)}
		reg.Set(order)
		l := &listening{off: map[string]bool{}}
		r, v := open(t, reg, nil, WithCache(b), WithHold(DefaultHold), func(o *options) { o.dial = l.dial })
		assert.Len(t, shares(t, v, 100), 2)
		require.True(t, v.State().Cached)
		time.Sleep(4 * time.Second) //nolint:forbidigo // fake time
		synctest.Wait()
		require.False(t, v.State().Cached)
		assert.Len(t, shares(t, v, 100), 2, "a Nacos that was started empty does not empty consumers")
		require.NoError(t, r.Close())
	})
}

func TestOnlyAYoungCacheIsDefendedAndOnlyAgainstAnEmptyList(t *testing.T) {
	for name, c := range map[string]struct {
		age time.Duration
		now []registry.Instance
		use int
	}{
		"young, elsewhere": {time.Minute, []registry.Instance{instance("10.9.9.1:1", "v1")}, 1},
		"young, one left":  {time.Minute, fleet(1), 1},
		"young, empty":     {youngCache - time.Minute, nil, 5},
		"old, elsewhere":   {10 * 24 * time.Hour, []registry.Instance{instance("10.9.9.1:1", "v1")}, 1},
		"old, empty":       {youngCache, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, reg := newBox(), memory.New()
				reg.Set(order, fleet(5)...)
				r, v := open(t, reg, nil, WithCache(b))
				require.NoError(t, v.Ready(t.Context()))
				require.NoError(t, r.Close())

				time.Sleep(c.age) //nolint:forbidigo // fake time
				reg.Set(order, c.now...)
				l := &listening{off: map[string]bool{}}
				r, v = open(t, &late{Registry: reg, from: time.Now().Add(time.Second)}, nil,
					WithCache(b), WithHold(DefaultHold), func(o *options) { o.dial = l.dial })
				assert.Len(t, shares(t, v, 100), 5)
				time.Sleep(2 * time.Second) //nolint:forbidigo // fake time
				synctest.Wait()
				assert.False(t, v.State().Cached)
				assert.Equal(t, c.use, v.State().Snapshot.Len())
				require.NoError(t, r.Close())
			})
		})
	}
}

func TestTheHoldBeginsWithTheFirstListOfTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, reg := filled(t, ""), memory.New()
		reg.Set(order, fleet(5)...)
		l := &listening{off: map[string]bool{}}
		r, v := open(t, &late{Registry: reg, from: time.Now().Add(time.Second)}, nil,
			WithCache(b), WithHold(DefaultHold), func(o *options) { o.dial = l.dial })
		require.NoError(t, v.Ready(t.Context()))
		require.True(t, v.State().Cached)
		time.Sleep(2 * time.Second) //nolint:forbidigo // fake time
		reg.Set(order)
		synctest.Wait()
		assert.Equal(t, 5, v.State().Held)
		require.NoError(t, r.Close())
	})
}

// late is a registry that is away until then.
type late struct {
	*memory.Registry
	from time.Time
}

func (l *late) Reason() error {
	if time.Now().Before(l.from) {
		return errAway
	}
	return nil
}

func (l *late) Watch(ctx context.Context, s registry.Service, fn func(registry.Update)) error {
	select {
	case <-time.After(time.Until(l.from)):
	case <-ctx.Done():
	}
	return l.Registry.Watch(ctx, s, fn)
}
