package nacosconn

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 50 * time.Millisecond
	backoffMost  = 5 * time.Second
)

// Backoff counts failures in a row and says how long to wait after the last one:
// between half and all of 50 ms, 100 ms, 200 ms, ... 5 s. The zero value is
// ready; it belongs to one goroutine.
type Backoff struct{ failures int }

// Next counts one more failure and returns the time to wait.
func (b *Backoff) Next() time.Duration {
	d := backoffMost
	if b.failures < 7 {
		d = backoffFirst << b.failures
	}
	b.failures++
	return d/2 + rand.N(d/2+1)
}

// Reset forgets the failures.
func (b *Backoff) Reset() { b.failures = 0 }

// Jitter returns d, up to a fifth shorter or longer, so that processes that were
// started together do not ask together.
func Jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5+1) }

// Pause waits for d; it ends early, with false, when ctx ends or stop closes.
func Pause(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
	case <-ctx.Done():
	}
	return false
}
