package resolver

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/lane"
)

const (
	// DefaultRetries is how often a request is sent again at most, where neither the
	// document's `limits` nor WithRetries says it.
	DefaultRetries = 2
	// MaxRetries is the most that either may say; that of `limits`.
	MaxRetries = 5

	// The budget of a resolver: retryShare of its requests and retryRate a second, and
	// no more than retryBurst at once. Without one, retries would make an outage of
	// what fails (The SRE Book, chapter 21; Finagle's RetryBudget). The share is a little
	// less than the tenth that is promised: requests are counted by samples.
	retryShare = 0.095
	retryRate  = 10 // a second
	retryBurst = 100
	// retrySample is how many requests are counted at once, so that they do not all
	// write to one counter.
	retrySample = 16

	// firstWait and longestWait bound the random wait before a request that failed is
	// sent again; each time up to twice as long.
	firstWait   = 25 * time.Millisecond
	longestWait = 250 * time.Millisecond
)

type idempotentKey struct{}

// WithIdempotent marks the requests of a context as safe to be sent again though they
// may have been carried out: what the method of an HTTP request says by itself, and a
// gRPC method does not.
func WithIdempotent(ctx context.Context) context.Context {
	return context.WithValue(ctx, idempotentKey{}, true)
}

// Idempotent reports whether WithIdempotent marked the context.
func Idempotent(ctx context.Context) bool {
	marked, _ := ctx.Value(idempotentKey{}).(bool)
	return marked
}

// Retry is MayRetry and Pause.
func (c *Call) Retry(ctx context.Context, o Outcome, safe bool) bool {
	return c.MayRetry(ctx, o, safe) && c.Pause(ctx)
}

// MayRetry reports whether the request may be sent again after the attempt ended with o:
// after Done, and after a Pause, by Next. Safe says that it may be sent twice.
//
// What did not reach its instance is sent again in any case. What failed, if it is
// safe, the budget of the resolver allows it (a tenth of its requests and 10 a second),
// and it is no part of a request that a caller of this process sends again already
// (lane.Retried): retries of retries multiply. Nothing is sent again more often than
// `limits` or WithRetries says, or if ctx leaves less time than an answer usually takes.
func (c *Call) MayRetry(ctx context.Context, o Outcome, safe bool) bool {
	r := c.view.resolver
	if c.endpoint == nil || c.Attempt > c.retries() || ctx.Err() != nil {
		return false
	}
	v := c.verdict(&o)
	unsent := o.Unsent()
	c.wait = 0
	if !unsent {
		if v != balancer.Bad || !safe || lane.Retried(ctx) {
			return false
		}
		most := min(firstWait<<(c.Attempt-1), longestWait)
		c.wait = time.Duration(rand.Int64N(int64(most)))
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < c.wait+c.endpoint.Usual() {
		return false
	}
	return unsent || r.budget.take(r.now())
}

// Pause waits as long as MayRetry wants, a random time, or none if the attempt did not
// reach its instance, and reports whether ctx lives on.
func (c *Call) Pause(ctx context.Context) bool { return pause(ctx, c.wait) }

// pause waits and reports whether ctx lives on.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// retries is how often the request may be sent again.
func (c *Call) retries() int {
	if l, ok := c.limit(); ok && l.Retries >= 0 {
		return l.Retries
	}
	return c.view.resolver.options.retries
}

// Timeout is how long an attempt may take, by the `limits` of the document; 0 if it
// says nothing.
func (c *Call) Timeout() time.Duration {
	l, _ := c.limit()
	return l.Timeout
}

// budget bounds how many requests are sent again. Its methods may be called
// concurrently.
type budget struct {
	requests atomic.Int64 // since the last take
	_        [64 - 8]byte // that line is written by many

	mu      sync.Mutex // guards what follows
	balance float64    // of retries
	at      int64      // when it was that
}

func newBudget() *budget { return &budget{balance: retryRate} }

// count counts a request.
func (b *budget) count() {
	if rand.Uint32()%retrySample == 0 {
		b.requests.Add(retrySample)
	}
}

// take takes a retry out of the budget, if there is one.
func (b *budget) take(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	earned := retryShare*float64(b.requests.Swap(0)) + retryRate*time.Duration(now-b.at).Seconds()
	b.balance, b.at = min(b.balance+earned, retryBurst), now
	if b.balance < 1 {
		return false
	}
	b.balance--
	return true
}
