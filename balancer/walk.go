package balancer

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/graylane/graylane/config"
)

// walk draws the slots of one split that is not sticky: through all slots in
// steps that share no factor with their number, from a random start. Any 10,000
// draws take every slot once, so a share is exact and not a matter of luck. Its
// step is unrelated to the golden ratio of the pickers' cursors: with the same
// ratio the arm and the instance would be drawn in step.
type walk struct {
	start uint64
	drawn atomic.Uint64
}

const walkStep = 4143

func newWalk() *walk { return &walk{start: rand.Uint64N(config.Slots)} }

func (w *walk) next() int { return SlotAt(w.drawn.Add(1), w.start) }

// SlotAt returns the slot of the nth draw of a walk that begins at the given slot.
func SlotAt(n, start uint64) int {
	return int((start + n%config.Slots*walkStep) % config.Slots)
}
