package debug

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestACounterForgetsAfterAMinute(t *testing.T) {
	var c counter
	assert.Zero(t, c.sum(1))
	for slot := uint32(1); slot <= 30; slot++ {
		for range slot {
			c.add(slot)
		}
		want := uint64(0)
		for s := uint32(1); s <= slot; s++ {
			if s+slots > slot {
				want += uint64(s)
			}
		}
		assert.Equal(t, want, c.sum(slot))
	}
	assert.EqualValues(t, 30, c.sum(41))
	assert.Zero(t, c.sum(42))

	c.add(18) // late, by a whole round: in its slot's successor
	assert.EqualValues(t, 31, c.sum(41))
}

// Who begins a slot and who only counts in it may come at once.
func TestTheFirstCountsOfASlotAreNotLost(t *testing.T) {
	const workers = 2
	counters := make([]counter, 100_000)
	there := make([]atomic.Int32, len(counters))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range counters {
				for there[i].Add(1); there[i].Load() < workers; {
					runtime.Gosched() // until the other is here
				}
				counters[i].add(1)
			}
		})
	}
	wg.Wait()
	lost := 0
	for i := range counters {
		lost += workers - int(counters[i].sum(1))
	}
	assert.Zero(t, lost)
}

func TestNoCountIsLost(t *testing.T) {
	const each, workers = 20_000, 8
	var c counter
	var s sharded
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range uint32(each) {
				slot := 1 + i/4000 // all slots are of the same minute
				c.add(slot)
				s.add(slot)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, each*workers, c.sum(5))
	assert.EqualValues(t, each*workers, s.sum(5))
}
