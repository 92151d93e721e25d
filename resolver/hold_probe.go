package resolver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
)

const (
	probeEvery   = time.Second            // from begin to begin, give or take a fifth
	probePause   = 100 * time.Millisecond // but at least this from end to begin
	probeTimeout = time.Second
	maxProbes    = 16 // at a time
)

// dialFunc is net.Dialer.DialContext.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// prober finds out which of the held instances are gone, by connecting to them. It
// lives for one hold, from its begin until nothing is held.
type prober struct {
	dial  dialFunc
	gone  chan<- string
	held  *mailbox[[]registry.Instance]
	slots chan struct{} // of capacity maxProbes
}

// newProber returns a prober that sends the IDs of those that have proved to be
// gone, again with each further proof until they are no longer held. A nil dial is
// net.Dialer's.
func newProber(dial dialFunc, gone chan<- string) *prober {
	return &prober{
		dial: dialerOf(dial), gone: gone,
		held: newMailbox[[]registry.Instance](), slots: make(chan struct{}, maxProbes),
	}
}

// watch says which instances are held now; none ends run, for good. It never blocks.
func (p *prober) watch(held []registry.Instance) { p.held.put(held) }

// run probes until nothing is held or ctx ends, and leaves no goroutine behind.
func (p *prober) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stops := map[string]context.CancelFunc{} // of the probes, by ID
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.held.full:
		}
		list := p.held.take()
		if list == nil {
			continue
		}
		if len(*list) == 0 {
			return
		}
		held := byID(*list)
		for id, stop := range stops {
			if _, ok := held[id]; !ok {
				stop()
				delete(stops, id)
			}
		}
		for id, in := range held {
			if stops[id] == nil {
				mine, stop := context.WithCancel(ctx)
				stops[id] = stop
				wg.Go(func() { p.probe(mine, id, in.Addr) })
			}
		}
	}
}

// probe tries one instance at once and then every probeEvery, until ctx ends.
func (p *prober) probe(ctx context.Context, id, addr string) {
	timeouts := 0
	for {
		select {
		case <-ctx.Done():
			return
		case p.slots <- struct{}{}:
		}
		began := time.Now()
		err := connect(ctx, p.dial, addr)
		<-p.slots
		if timedOut(err) {
			timeouts++
		} else {
			timeouts = 0
		}
		// One timeout may be a lost packet, or a server that is short of breath.
		if reached(err) == reachRefused || timeouts >= 2 {
			select {
			case <-ctx.Done():
				return
			case p.gone <- id:
			}
		}
		every := pace(probeEvery)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(every-time.Since(began), probePause)):
		}
	}
}

// dialerOf returns dial, and for nil net.Dialer's.
func dialerOf(dial dialFunc) dialFunc {
	if dial == nil {
		return new(net.Dialer).DialContext
	}
	return dial
}

// pace is d, give or take a fifth.
func pace(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5) }

// connect returns nil if somebody listens at addr.
func connect(ctx context.Context, dial dialFunc, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
