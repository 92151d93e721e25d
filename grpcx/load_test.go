package grpcx_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/graylane/graylane/internal/hello"
)

// load calls from several goroutines until stop, which returns how many calls
// there were and how many of them failed.
func load(t *testing.T, c hello.HelloClient, workers int) (stop func() (calls, failed int64)) {
	t.Helper()
	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Say(context.WithoutCancel(ctx), &hello.HelloRequest{}); err != nil {
					failed.Add(1)
					t.Log(err)
				}
				calls.Add(1)
			}
		})
	}
	return func() (int64, int64) {
		cancel()
		wg.Wait()
		return calls.Load(), failed.Load()
	}
}

// Servers limit the age of their connections (GOAWAY) so that load spreads. A
// call that meets the end of one goes over the next.
func TestNoCallFailsWhenConnectionsReachTheirAge(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v1}`)
	age := grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 100 * time.Millisecond, MaxConnectionAgeGrace: patience})
	ps := []*provider{newProvider(t, "v1", age), newProvider(t, "v1", age)}
	w.register(ps...)
	_, c := w.dial(t)
	warm(t, c, ps...)
	stop := load(t, c, 4)
	require.Eventually(t, func() bool {
		return ps[0].opened.Load() >= 10 && ps[1].opened.Load() >= 10
	}, 2*patience, time.Millisecond)
	calls, failed := stop()
	t.Logf("FIGURE %d calls over %v connections of limited age: %d failed", calls, connections(ps...), failed)
	assert.Zero(t, failed)
}

func TestAddedInstancesGetTheirShareAtOnce(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v1}`)
	ps := make([]*provider, 8)
	for i := range ps {
		ps[i] = newProvider(t, "v1")
	}
	w.register(ps[:4]...)
	_, c := w.dial(t)
	warm(t, c, ps[:4]...)
	stop := load(t, c, 8)
	added := time.Now()
	w.register(ps...)
	require.Eventually(t, func() bool {
		for _, p := range ps {
			if p.calls.Load() == 0 {
				return false
			}
		}
		return true
	}, 3*patience, time.Millisecond, "all of them are called")
	took := time.Since(added)

	// From here on everybody has 1/8, to within 10 % of that.
	before := make([]int64, len(ps))
	total := func() (n int64) {
		for i, p := range ps {
			n += p.calls.Load() - before[i]
		}
		return n
	}
	for i, p := range ps {
		before[i] = p.calls.Load()
	}
	require.Eventually(t, func() bool { return total() >= 4000 }, patience, time.Millisecond)
	shares, all := make([]int64, len(ps)), total()
	for i, p := range ps {
		shares[i] = p.calls.Load() - before[i]
	}
	_, failed := stop()
	t.Logf("FIGURE 4 instances added to 4 under load: all called after %s; then %v of %d calls", took, shares, all)
	for _, n := range shares {
		assert.InEpsilon(t, float64(all)/8, n, 0.1)
	}
	assert.Zero(t, failed)
	for _, n := range connections(ps...) {
		assert.EqualValues(t, 1, n)
	}
}

func TestAHundredStreamsShareOneConnection(t *testing.T) {
	w := newWorld(t, `{gray: v1, default: v1}`)
	ps := []*provider{newProvider(t, "v1"), newProvider(t, "v1")}
	w.register(ps...)
	_, c := w.dial(t)
	warm(t, c, ps...)
	got := map[string]int{}
	for range 200 {
		s, err := c.Watch(calling(t, ""), &hello.HelloRequest{}) // open until the test ends
		require.NoError(t, err)
		reply, err := s.Recv()
		require.NoError(t, err)
		got[reply.GetInstance()]++
	}
	for _, p := range ps {
		assert.InDelta(t, 100, got[p.addr], 6)
		assert.EqualValues(t, 1, p.opened.Load())
	}
}

func TestAStreamThatHasBegunIsNoLoad(t *testing.T) {
	p := newProvider(t, "v1")
	w := newWorld(t, byHeader)
	w.register(p)
	_, c := w.dial(t)
	warm(t, c, p)
	v, err := w.resolver.View(w.resolver.Service(greeter.Name), "grpc")
	require.NoError(t, err)
	defer v.Close()
	inFlight := func() int64 { return v.State().Director.Endpoint(0).InFlight() }
	ctx, leave := context.WithCancel(calling(t, "v1"))
	defer leave()
	s, err := c.Watch(ctx, &hello.HelloRequest{}) // answers once, and stays
	require.NoError(t, err)
	assert.EqualValues(t, 1, inFlight())
	_, err = s.Recv()
	require.NoError(t, err)
	assert.Zero(t, inFlight())
	leave()
	_, err = s.Recv()
	require.Error(t, err)
	require.Never(t, func() bool { return inFlight() != 0 }, 20*time.Millisecond, time.Millisecond, "it is taken off once")
}
