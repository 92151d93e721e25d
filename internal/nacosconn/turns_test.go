package nacosconn

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
)

func TestTurnsAreFreeAfterAQuietTimeAndThenSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every, burst = 10 * time.Millisecond, 5
		var q turns
		for round := range 3 {
			for range burst {
				assert.Zero(t, q.take(every, burst), round)
			}
			for i := range 20 {
				assert.Equal(t, time.Duration(i+1)*every, q.take(every, burst), round)
			}
			time.Sleep(every) //nolint:forbidigo // inside a bubble
			assert.Equal(t, 20*every, q.take(every, burst), "one turn has passed, one is taken")
			time.Sleep(time.Minute) //nolint:forbidigo // inside a bubble
		}
	})
}

func TestThousandTurnsTakeFiveSecondsAndUrgentOnesDoNotWaitForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Conn
		perSecond := map[time.Duration]int{}
		var last time.Duration
		for range 1000 {
			last = c.Turn()
			perSecond[last.Truncate(time.Second)]++
		}
		assert.InDelta(t, 5.4, last.Seconds(), 0.1)
		for second, n := range perSecond {
			assert.LessOrEqual(t, n, 200, second)
		}
		assert.Zero(t, c.UrgentTurn())
		for range 999 {
			last = c.UrgentTurn()
		}
		assert.InDelta(t, 1.8, last.Seconds(), 0.1)
	})
}

func TestSilenceCountsRequestsThatFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s silence
		start := time.Now()
		time.Sleep(requestTimeout) //nolint:forbidigo // inside a bubble
		for range 10 {
			assert.False(t, s.unanswered(start), "they waited side by side")
		}
		next := func() bool {
			sent := time.Now()
			time.Sleep(requestTimeout) //nolint:forbidigo // inside a bubble
			return s.unanswered(sent)
		}
		assert.False(t, next())
		s.answered()
		assert.False(t, next())
		assert.False(t, next())
		assert.True(t, next())
	})
}

// A wedged server answers health checks and nothing else.
func TestWedgedConnectionIsReplacedByOneToAnotherServer(t *testing.T) {
	t.Parallel()
	a, b := nacostest.Run(t), nacostest.Run(t)
	var seen errorsOf
	s := open(t, Config{Servers: []string{a.Addr(), b.Addr()}}, ModuleNaming, Handler{OnError: seen.add})
	c := connected(t, s)
	wedged := map[string]*nacostest.Server{a.GRPCAddr(): a, b.GRPCAddr(): b}[c.server.grpc()]
	var checks atomic.Int64
	wedged.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type != "HealthCheckRequest" {
			return nacostest.Drop()
		}
		checks.Add(1)
		return nacostest.Pass()
	})
	start := time.Now()
	for i := range wedgedAfter {
		select {
		case <-c.Lost():
			assert.Fail(t, "given up too early", i)
		default:
		}
		_, err := c.Query(context.WithoutCancel(t.Context()), "G", "s")
		require.ErrorContains(t, err, "no answer to ServiceQueryRequest within 3s")
	}
	awaitLost(t, c, time.Second)
	assert.Positive(t, checks.Load(), "it was healthy all the time")
	other := connected(t, s)
	assert.NotEqual(t, c.server, other.server)
	_, err := other.Query(within(t, patience), "G", "s")
	require.NoError(t, err)
	t.Logf("replaced after %v", time.Since(start))
}
