package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
)

// mostLate is how late requests are made up for.
const mostLate = 100 * time.Millisecond

var errTooMany = errors.New("faults: too many requests are open")

// load makes requests at a fixed rate, whatever becomes of them: who waits for an
// answer before the next request does not see a stall. The function that it
// returns ends that, and waits for the last answers.
func (c *consumer) load(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	// Deadlines bound how many are open; this is for a client that ignores them.
	open := make(chan struct{}, 2*int(float64(c.Rate)*c.Deadline.Seconds())+100)
	all.Go(func() {
		dice := rand.New(rand.NewPCG(c.Seed, 1))
		began := time.Now()
		next := time.NewTimer(0)
		defer next.Stop()
		for i := 0; ; i++ {
			due := began.Add(time.Duration(i) * time.Second / time.Duration(c.Rate))
			next.Reset(time.Until(due))
			select {
			case <-ctx.Done():
				return
			case <-next.C:
			}
			// This process itself was stopped, or had no CPU: what it missed it does not
			// make up for in one burst, which would be another fault.
			if late := time.Since(due); late > mostLate {
				began = began.Add(late)
				c.stalled.Add(int64(late))
			}
			r := c.request(i, dice)
			select {
			case open <- struct{}{}:
				all.Go(func() {
					c.ask(i%len(c.clients), &r, nil)
					<-open
				})
			default:
				c.ask(i%len(c.clients), &r, errTooMany)
			}
		}
	})
	return func() { cancel(); all.Wait() }
}

// request returns the i-th request. What it asks for depends on the seed alone.
func (c *consumer) request(i int, dice *rand.Rand) judge.Request {
	from := c.Client
	if c.Cold {
		from += "-cold" // the one before it is another
	}
	r := judge.Request{
		ID: fmt.Sprintf("%s-%d", from, i), Protocol: c.protocol(), Service: c.service(),
		Method: http.MethodGet, Path: "/hello", Headers: map[string]string{},
	}
	v2, post := dice.Float64() < c.V2, dice.Float64() < c.Post
	if v2 {
		r.Headers[lane.HeaderVersion] = "v2"
	}
	switch {
	case r.Protocol == "grpc":
		r.Method, r.Path = http.MethodPost, hello.Hello_Say_FullMethodName
	case post:
		r.Method = http.MethodPost
	}
	return r
}

// ask makes one request, unless refused says why it cannot be made.
func (c *consumer) ask(client int, r *judge.Request, refused error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.Deadline)
	defer cancel()
	ctx, answered := c.books[client].Begin(ctx, *r)
	version, err := "", refused
	if err == nil {
		version, err = c.clients[client].call(ctx, r)
	}
	answered(version, err)
	c.requests.Add(1)
	if err != nil {
		c.failed.Add(1)
		text := err.Error()
		c.lastError.Store(&text)
		return
	}
	c.first.CompareAndSwap(0, int64(time.Since(c.opened)))
}
