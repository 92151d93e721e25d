package resolver

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry/memory"
)

// TestRetriesOfTwoHopsDoNotMultiply: every instance of the second hop fails, so that the
// first fails too, and both send again: where nothing holds them, nine times.
func TestRetriesOfTwoHopsDoNotMultiply(t *testing.T) { // F52
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(5)...)
		first, to := open(t, reg, nil)
		defer first.Close()
		second, on := open(t, reg, nil)
		defer second.Close()
		require.NoError(t, to.Ready(t.Context()))
		require.NoError(t, on.Ready(t.Context()))
		const rate, seconds = 1000, 20
		var (
			wg    sync.WaitGroup
			count atomic.Int64
		)
		for range rate * seconds {
			wg.Go(func() {
				ctx := t.Context()
				c, err := to.Pick(ctx, request{}, nil)
				for {
					if err != nil {
						t.Error(err)
						return
					}
					inner := ctx // the second hop's, which a header tells that it is part of a retry
					if c.Attempt > 1 {
						inner = lane.WithRetried(ctx)
					}
					count.Add(int64(len(sends(inner, t, on, status(503), true))))
					c.Done(ctx, status(503))
					if !c.Retry(ctx, status(503), true) {
						return
					}
					c, err = c.Next(ctx, nil)
				}
			})
			time.Sleep(time.Second / rate) //nolint:forbidigo // fake time
		}
		wg.Wait()
		most := 1.21*rate*seconds + 2*10*seconds
		assert.LessOrEqual(t, float64(count.Load()), most)
		assert.Greater(t, float64(count.Load()), 1.15*rate*seconds, "both hops retry")
		t.Logf("FIGURE F52, two hops: %d sends of %d requests in %d s, x %.4f; at most %.0f",
			count.Load(), rate*seconds, seconds, float64(count.Load())/(rate*seconds), most)
	})
}
