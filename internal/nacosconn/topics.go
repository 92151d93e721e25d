package nacosconn

import (
	"context"
	"sync"
	"time"
)

// Topics runs one loop per key for as long as anybody watches the key, and hands
// what the loop publishes to every watcher. In is what comes from the server for
// a key, Out what watchers get. It may be used concurrently.
type Topics[K comparable, In, Out any] struct {
	start func(K, *Topic[In, Out]) // starts the loop of a key
	stop  context.CancelFunc
	ended <-chan struct{} // closed by Close
	done  sync.WaitGroup  // the loops

	mu   sync.Mutex // guards the rest, and every topic's fields below its mu
	live map[K]*Topic[In, Out]
}

// Topic is one key's loop and its watchers.
type Topic[In, Out any] struct {
	in chan In // one slot, the latest

	mu    *sync.Mutex // that of Topics
	puts  uint64
	last  Out
	known bool      // last holds something
	at    time.Time // when the server said last that it holds the same
	out   map[chan Out]struct{}
	end   context.CancelFunc // ends the running loop
}

// NewTopics returns topics whose loop is run. It returns when its context ends,
// after cleaning up; it is called again if somebody watches the key by then.
func NewTopics[K comparable, In, Out any](run func(context.Context, K, *Topic[In, Out])) *Topics[K, In, Out] {
	base, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	t := &Topics[K, In, Out]{stop: stop, ended: base.Done(), live: make(map[K]*Topic[In, Out])}
	t.start = func(k K, p *Topic[In, Out]) {
		t.done.Go(func() {
			for {
				ctx, ok := t.begin(base, k, p)
				if !ok {
					return
				}
				run(ctx, k, p)
			}
		})
	}
	return t
}

// Close ends every loop and every Watch, and waits for the loops.
func (t *Topics[K, In, Out]) Close() {
	t.mu.Lock()
	t.stop() // under mu: no loop starts after it
	t.mu.Unlock()
	t.done.Wait()
}

// Watch calls fn with what is known of k, if anything, and then with everything
// that its loop publishes; of several quick ones perhaps only the last. It blocks
// until ctx ends and returns the context's cause, or ErrClosed after Close.
func (t *Topics[K, In, Out]) Watch(ctx context.Context, k K, fn func(Out)) error {
	out := make(chan Out, 1)
	p := t.join(k, out)
	if p == nil {
		return ErrClosed
	}
	defer p.leave(out)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.ended:
			return ErrClosed
		case v := <-out:
			fn(v)
		}
	}
}

// Find returns the topic of k, nil if nobody watches it.
func (t *Topics[K, In, Out]) Find(k K) *Topic[In, Out] {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[k]
}

// Confirmed returns when the server said last that what watchers of k know is what
// it holds; false if nobody watches k, or nothing is known yet.
func (t *Topics[K, In, Out]) Confirmed(k K) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.live[k]; p != nil && p.known {
		return p.at, true
	}
	return time.Time{}, false
}

// join adds a watcher of k; nil after Close.
func (t *Topics[K, In, Out]) join(k K, out chan Out) *Topic[In, Out] {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.ended:
		return nil
	default:
	}
	p := t.live[k]
	if p == nil {
		p = &Topic[In, Out]{in: make(chan In, 1), mu: &t.mu, out: make(map[chan Out]struct{})}
		t.live[k] = p
		t.start(k, p)
	}
	p.out[out] = struct{}{}
	if p.known {
		out <- p.last
	}
	return p
}

// leave removes a watcher; the last one ends the loop.
func (p *Topic[In, Out]) leave(out chan Out) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.out, out)
	if len(p.out) == 0 && p.end != nil {
		p.end()
	}
}

// begin returns the context of the next run of a key's loop; false if nobody
// watches the key any more. The topic stays in live until then, so that there are
// never two loops of one key.
func (t *Topics[K, In, Out]) begin(base context.Context, k K, p *Topic[In, Out]) (context.Context, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.end != nil {
		p.end()
	}
	p.known = false // what was known may have changed since the last run
	if len(p.out) == 0 || base.Err() != nil {
		delete(t.live, k)
		return nil, false
	}
	ctx, end := context.WithCancel(base)
	p.end = end
	return ctx, true
}

// Put hands the loop something from the server; it replaces what the loop has not
// taken yet.
func (p *Topic[In, Out]) Put(v In) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.puts++
	replace(p.in, v)
}

// In is where the loop takes what was put.
func (p *Topic[In, Out]) In() <-chan In { return p.in }

// Puts returns how often something was put.
func (p *Topic[In, Out]) Puts() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.puts
}

// Publish hands v to every watcher, now and to come. Only the loop calls it.
func (p *Topic[In, Out]) Publish(v Out) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.known, p.at = v, true, time.Now()
	for out := range p.out {
		replace(out, v)
	}
}

// Confirm remembers that the server has just said that it holds what was published
// last.
func (p *Topic[In, Out]) Confirm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = time.Now()
}

// replace puts v into a channel of one slot. Senders must hold a common lock.
func replace[T any](ch chan T, v T) {
	select {
	case <-ch:
	default:
	}
	ch <- v
}
