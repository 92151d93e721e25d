package nacos_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// TestTheLastListIsFoundWhateverTheOrderAndTheClock: pushes of a thousand changes are
// overtaken, repeated and lost, by a server whose clock stands still, is behind or ahead.
func TestTheLastListIsFoundWhateverTheOrderAndTheClock(t *testing.T) { // F15, F43
	t.Parallel()
	srv := nacostest.Run(t, nacostest.WithPushDelay(time.Millisecond))
	c, _ := newClient(t, srv.Addr())
	updates := watch(t, c, user)
	await(t, updates, "the empty list", has(0))
	still := time.Now()
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		clock := nacostest.Clock([]time.Time{
			still, still.Add(-time.Minute), still.Add(-24 * time.Hour), still.Add(24 * time.Hour), still.Add(time.Hour),
		}[rand.IntN(5)])
		if !r.Push {
			return clock
		}
		switch n := rand.IntN(10); {
		case n < 3:
			return clock.And(nacostest.Overtaken(1 + rand.IntN(3)))
		case n < 6:
			return clock.And(nacostest.Times(2))
		case n < 7:
			return clock.And(nacostest.Lose())
		}
		return clock
	})
	const changes = 1000
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := range changes {
		srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, map[string]string{"version": strconv.Itoa(i)}))
		<-tick.C
	}
	// The last push may be the one that is held back until another comes. Asking finds it.
	start, seen := time.Now(), 0
	late := time.After(15 * time.Second)
	for last := ""; last != strconv.Itoa(changes-1); {
		select {
		case u := <-updates:
			seen++
			if len(u.Instances) == 1 {
				last = u.Instances[0].Metadata[registry.KeyVersion]
			}
		case <-late:
			require.FailNow(t, "never reported: the last list", "last: %s", last)
		}
	}
	t.Logf("FIGURE F15: %d lists of %d changes; the last %s after its change", seen, changes, time.Since(start).Round(time.Millisecond))
}
