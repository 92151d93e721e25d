package resolver

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

// network is a fake: what a dial of an address comes to.
type network struct {
	mu      sync.Mutex
	answers map[string]func(ctx context.Context) error // nil for a connection
	dials   map[string][]time.Time
	open    int // connections
	at, max int // dials at a time
}

func newNetwork() *network {
	return &network{answers: map[string]func(context.Context) error{}, dials: map[string][]time.Time{}}
}

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.dials[addr] = append(n.dials[addr], time.Now())
	n.at++
	n.max = max(n.max, n.at)
	answer := n.answers[addr]
	n.mu.Unlock()
	err := error(nil)
	if answer != nil {
		err = answer(ctx)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at--
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	n.open++
	return &fakeConn{net: n}, nil
}

// say sets what the dials of addr come to from now on.
func (n *network) say(addr string, answer func(context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[addr] = answer
}

func (n *network) count(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.dials[addr])
}

type fakeConn struct {
	net.Conn
	net *network
}

func (c *fakeConn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.open--
	return nil
}

// elapse lets fake time pass.
func elapse(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // fake time

func silence(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// addressed returns n instances, at "10.0.0.1:<i>".
func addressed(n int) []registry.Instance {
	out := make([]registry.Instance, n)
	for i := range out {
		out[i] = registry.NewInstance(fmt.Sprintf("10.0.0.1:%d", i+1))
	}
	return out
}

// probing runs a prober on a fake network in the bubble of the test.
type probing struct {
	*prober
	net   *network
	found chan string
	ended chan struct{}
}

func probe(ctx context.Context, n *network, held []registry.Instance) *probing {
	p := &probing{net: n, found: make(chan string, 1000), ended: make(chan struct{})}
	p.prober = newProber(n.dial, p.found)
	p.watch(held)
	go func() {
		defer close(p.ended)
		p.run(ctx)
	}()
	return p
}

// goneIDs returns who has proved to be gone since the last look.
func (p *probing) goneIDs() []string {
	synctest.Wait()
	out := []string{}
	for len(p.found) > 0 {
		out = append(out, <-p.found)
	}
	slices.Sort(out)
	return out
}

func TestProberProof(t *testing.T) {
	tests := []struct {
		name   string
		answer func(context.Context) error
		first  bool // the first dial is proof
		second bool // the second is
	}{
		{"answers", nil, false, false},
		{"refused", fails(syscall.ECONNREFUSED), true, true},
		{"no route to host", fails(syscall.EHOSTUNREACH), true, true},
		{"host down", fails(syscall.EHOSTDOWN), true, true},
		{"silent", silence, false, true},
		{"timed out by the kernel", fails(syscall.ETIMEDOUT), false, true},
		{"our network is down", fails(syscall.ENETUNREACH), false, false},
		{"our descriptors are used up", fails(syscall.EMFILE), false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, held := newNetwork(), addressed(1)
				n.say(held[0].Addr, tt.answer)
				ctx, cancel := context.WithCancel(t.Context())
				p := probe(ctx, n, held)
				synctest.Wait()
				require.Equal(t, 1, n.count(held[0].Addr), "not tried at once")
				assert.Equal(t, tt.first, len(p.goneIDs()) > 0)
				elapse(2200 * time.Millisecond)
				assert.Equal(t, tt.second, len(p.goneIDs()) > 0)
				elapse(time.Minute)
				assert.Equal(t, tt.second, len(p.goneIDs()) > 0)
				cancel()
				<-p.ended
				assert.Zero(t, n.open, "left open")
			})
		})
	}
}

func TestProberTimeoutsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, held := newNetwork(), addressed(1)
		tries := 0
		n.say(held[0].Addr, func(ctx context.Context) error { // every second one answers
			tries++
			if tries%2 == 1 {
				return silence(ctx)
			}
			return nil
		})
		p := probe(t.Context(), n, held)
		elapse(time.Minute)
		assert.Empty(t, p.goneIDs())
		p.watch(nil)
		<-p.ended
		assert.Greater(t, n.count(held[0].Addr), 40)
	})
}

func TestProberPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, held := newNetwork(), addressed(50)
		for _, in := range held[:25] {
			n.say(in.Addr, func(context.Context) error { elapse(100 * time.Millisecond); return nil })
		}
		p := probe(t.Context(), n, held)
		elapse(time.Minute)
		p.watch(nil)
		<-p.ended
		assert.LessOrEqual(t, n.max, 16)
		gaps := map[time.Duration]bool{}
		for _, in := range held {
			at := n.dials[in.Addr]
			assert.InDelta(t, 60, len(at), 15, in.Addr)
			for i := range at[1:] {
				gap := at[i+1].Sub(at[i])
				gaps[gap] = true
				// A dial may wait for a slot, and the next one counts from its end.
				assert.GreaterOrEqual(t, gap, 800*time.Millisecond)
				assert.Less(t, gap, 1200*time.Millisecond+300*time.Millisecond)
			}
		}
		assert.Greater(t, len(gaps), 1000, "in step")
	})
}

func TestProberAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, held := newNetwork(), addressed(100)
		for _, in := range held {
			n.say(in.Addr, silence)
		}
		p := probe(t.Context(), n, held)
		elapse(time.Minute)
		seen := slices.Compact(p.goneIDs())
		assert.Len(t, seen, len(held), "each has its turn")
		began := time.Now()
		p.watch(nil)
		<-p.ended
		assert.Zero(t, time.Since(began), "the end waits for a dial")
		assert.Equal(t, 16, n.max)
	})
}

func TestProberFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, held := newNetwork(), addressed(3)
		a, b, c := held[0], held[1], held[2]
		n.say(c.Addr, fails(syscall.ECONNREFUSED))
		p := probe(t.Context(), n, held[:2])
		elapse(10 * time.Second)
		require.Empty(t, p.goneIDs())

		p.watch(held[1:]) // a is settled, c is held too
		assert.Equal(t, []string{c.ID}, p.goneIDs(), "at once")
		was, stayed := n.count(a.Addr), n.count(b.Addr)
		elapse(1300 * time.Millisecond)
		assert.Equal(t, was, n.count(a.Addr), "settled, but tried")
		assert.Greater(t, n.count(b.Addr), stayed)
		assert.Contains(t, p.goneIDs(), c.ID, "told again while it is held")

		p.watch(held[1:2])
		synctest.Wait()
		n.say(b.Addr, fails(syscall.ECONNREFUSED))
		elapse(1300 * time.Millisecond)
		assert.Contains(t, p.goneIDs(), b.ID)
		p.watch(nil)
		<-p.ended
		tried := n.count(b.Addr)
		elapse(time.Minute)
		assert.Equal(t, tried, n.count(b.Addr))
	})
}

// A keeper that is busy, or gone, must not keep a prober from its end.
func TestProberNobodyListens(t *testing.T) {
	for _, end := range []string{"settled", "context"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, held := newNetwork(), addressed(40)
				for _, in := range held {
					n.say(in.Addr, fails(syscall.ECONNREFUSED))
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p, ended := newProber(n.dial, make(chan string)), make(chan struct{})
				p.watch(held)
				go func() {
					defer close(ended)
					p.run(ctx)
				}()
				elapse(10 * time.Second)
				if end == "settled" {
					p.watch(nil)
				} else {
					cancel()
				}
				<-ended
			})
		})
	}
}

func TestHoldOnRealSockets(t *testing.T) {
	tried := make(chan string, 1000)
	listeners, list := []net.Listener{}, []registry.Instance{}
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		listeners, list = append(listeners, l), append(list, registry.NewInstance(l.Addr().String()))
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
				tried <- l.Addr().String()
			}
		}()
	}

	begin := time.Now()
	now := func() int64 { return int64(time.Since(begin)) + 1 }
	h, gone := newHold(holdLimit), make(chan string)
	h.list(list, now())
	use, began := h.list(nil, now())
	require.True(t, began)
	require.Len(t, use, 5)

	p, ended := newProber(nil, gone), make(chan struct{})
	p.watch(h.held())
	go func() {
		defer close(ended)
		p.run(t.Context())
	}()
	late := time.After(10 * time.Second)
	alive := map[string]int{}
	for len(alive) < 5 || slices.Min(slices.Collect(maps.Values(alive))) < 2 {
		select {
		case addr := <-tried:
			alive[addr]++
		case id := <-gone:
			t.Fatalf("%s listens", id)
		case <-late:
			t.Fatalf("tried: %v", alive)
		}
	}

	for _, l := range listeners {
		l.Close()
	}
	closed := time.Now()
	for !h.settled() {
		select {
		case id := <-gone:
			h.gone(id)
			p.watch(h.held())
		case <-late:
			t.Fatalf("held: %v", h.held())
		}
	}
	assert.Less(t, time.Since(closed), 5*time.Second)
	t.Logf("settled %v after the end of the last", time.Since(closed))
	assert.Empty(t, h.effective())
	<-ended
}
