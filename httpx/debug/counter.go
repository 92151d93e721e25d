package debug

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// slotTime and slots make up the last minute: the slot of now is on its way, and
	// so a sum is over 55 to 60 s.
	slotTime = 5 * time.Second
	slots    = 12
	// shards are how many lines a counter that every request adds to is spread over.
	shards = 4
)

// counter counts what happened in the last minute. Each of its words has a slot's
// number in the upper half and the count in the lower.
type counter [slots]atomic.Uint64

const slotBits = 32

// add counts one in a slot. It does not wait: it tries again only if others have
// counted. Who comes late for a slot that is over counts in the one after it.
func (c *counter) add(slot uint32) {
	w := &c[slot%slots]
	for {
		v := w.Load()
		if v>>slotBits >= uint64(slot) {
			w.Add(1)
			return
		}
		if w.CompareAndSwap(v, uint64(slot)<<slotBits|1) {
			return
		}
	}
}

// sum returns the count of the minute that ends with a slot.
func (c *counter) sum(slot uint32) (n uint64) {
	for i := range c {
		v := c[i].Load()
		if v>>slotBits+slots > uint64(slot) {
			n += v & (1<<slotBits - 1)
		}
	}
	return n
}

// sharded is a counter for many who count at once.
type sharded [shards]struct {
	counter

	_ [32]byte // up to two lines
}

func (s *sharded) add(slot uint32) { s[rand.Uint32()%shards].add(slot) }

func (s *sharded) sum(slot uint32) (n uint64) {
	for i := range s {
		n += s[i].sum(slot)
	}
	return n
}
