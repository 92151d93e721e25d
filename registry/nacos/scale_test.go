package nacos_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// arrivals are the times at which a server got lists' requests.
type arrivals struct {
	mu sync.Mutex
	at []time.Time
}

func (a *arrivals) see(r nacostest.Request) nacostest.Action {
	if r.Type == "SubscribeServiceRequest" || r.Type == "ServiceQueryRequest" {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.at = append(a.at, time.Now())
	}
	return nacostest.Pass()
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// take returns what has arrived, and the most of it in any one second.
func (a *arrivals) take() (all []time.Time, peak int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, a.at = a.at, nil
	first := 0
	for i := range all {
		for all[i].Sub(all[first]) >= time.Second {
			first++
		}
		peak = max(peak, i-first+1)
	}
	return all, peak
}

// How many there are in a second is tested with fake time, where turns are made: a
// busy machine can bunch them here, but not make them come earlier.
func TestThousandServicesAreAskedForAtABoundedRate(t *testing.T) {
	t.Parallel()
	const n = 1000
	srv := nacostest.Run(t)
	var seen arrivals
	srv.Intercept(seen.see)
	c, _ := newClient(t, srv.Addr())
	require.NoError(t, c.Ready(within(t, patience)))

	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	known := make(chan struct{}, n)
	start := time.Now()
	for i := range n {
		watching.Go(func() {
			err := c.Watch(ctx, registry.Service{Name: fmt.Sprintf("s%d", i)}, func(registry.Update) { known <- struct{}{} })
			assert.ErrorIs(t, err, context.Canceled)
		})
	}
	for range n {
		<-known
	}
	t.Logf("all known after %v", time.Since(start))
	assert.Greater(t, time.Since(start), 1700*time.Millisecond)
	seen.take()

	require.Eventually(t, func() bool { return seen.count() >= n }, 20*time.Second, 10*time.Millisecond)
	_, peak := seen.take()
	t.Logf("a round of reconciling: at most %d requests in a second", peak)

	srv.Stop()
	seen.take()
	require.NoError(t, srv.Restart(nacostest.WipeData))
	start = time.Now()
	require.Eventually(t, func() bool { return seen.count() >= n }, 15*time.Second, 10*time.Millisecond)
	took := time.Since(start)
	all, peak := seen.take()
	t.Logf("all asked for again after %v, over %v, at most %d in a second", took, all[n-1].Sub(all[0]), peak)
	assert.Greater(t, took, 5*time.Second)
}
