package nacosconn

import (
	"sync"
	"time"
)

// The rates at which one connection asks for what may be wanted by the thousand.
// After a node's death all its clients come to the others at once: what they know
// already they ask for again, over 5 s for a thousand services. What is not known
// yet does not wait behind that.
const (
	turnEvery   = time.Second / 180
	turnBurst   = 20
	urgentEvery = time.Second / 500
	urgentBurst = 100
)

// turns spreads requests evenly in time. The zero value is ready; it may be used
// concurrently.
type turns struct {
	mu   sync.Mutex
	next time.Time // of the next turn, if burst earlier ones had not been free
}

// take returns how long to wait for the next turn: nothing for a burst of them
// after a quiet time, and then one follows the other after every.
func (t *turns) take(every time.Duration, burst int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.next.Before(now) {
		t.next = now
	}
	wait := t.next.Sub(now) - time.Duration(burst-1)*every
	t.next = t.next.Add(every)
	return max(wait, 0)
}

// UrgentTurn returns how long to wait before asking for something that is not known
// yet, or is known to have changed: nothing for the first hundred after a quiet
// time, then 500 a second. A turn that is not used is lost.
func (c *Conn) UrgentTurn() time.Duration { return c.urgent.take(urgentEvery, urgentBurst) }

// Turn returns how long to wait before asking again for something that is known:
// nothing for the first twenty after a quiet time, then 180 a second. A turn that is
// not used is lost.
func (c *Conn) Turn() time.Duration { return c.usual.take(turnEvery, turnBurst) }
