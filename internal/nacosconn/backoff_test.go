package nacosconn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBackoffDoublesUpToItsCapWithJitter(t *testing.T) {
	var b Backoff
	for _, ms := range []int{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		most := time.Duration(ms) * time.Millisecond
		d := b.Next()
		assert.LessOrEqual(t, d, most)
		assert.GreaterOrEqual(t, d, most/2)
	}
	b.Reset()
	assert.LessOrEqual(t, b.Next(), backoffFirst)
}

func TestJitterIsAFifth(t *testing.T) {
	lowest, highest := time.Hour, time.Duration(0)
	for range 1000 {
		d := Jitter(10 * time.Second)
		lowest, highest = min(lowest, d), max(highest, d)
	}
	assert.InDelta(t, 8, lowest.Seconds(), 0.1)
	assert.InDelta(t, 12, highest.Seconds(), 0.1)
}

func TestPauseEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		assert.True(t, Pause(t.Context(), nil, time.Minute))
		assert.Equal(t, time.Minute, time.Since(start))

		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		assert.False(t, Pause(t.Context(), stop, time.Minute))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.False(t, Pause(ctx, nil, time.Minute))
		assert.Equal(t, time.Minute+2*time.Second, time.Since(start))
	})
}
