package balancer

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sort"
	"sync/atomic"
)

// cursor is the rotation of one subset: a Weyl sequence by the golden ratio,
// whose every stretch is spread evenly over the circle of 2^64 points (Kuipers
// and Niederreiter, Uniform Distribution of Sequences, 1974). It holds no
// reference to weights or members, so it survives every update, and it moves
// only when its own subset is picked from: two subsets that shared one would
// starve each other's instances.
type cursor struct{ at atomic.Uint64 }

// golden is 2^64 divided by the golden ratio, made odd.
const golden = 0x9E3779B97F4A7C15

// newCursor starts at a random point, so that consumers started together do not
// send their first requests to the same instance.
func newCursor() *cursor {
	c := &cursor{}
	c.at.Store(rand.Uint64())
	return c
}

func (c *cursor) next() uint64 { return c.at.Add(golden) }

// weighted gives each endpoint its share by weight, in an order as even as the
// cursor's: over any stretch of picks an endpoint's error stays within a few.
type weighted struct {
	endpoints []*Endpoint
	bounds    []uint64 // endpoint i owns the points from bounds[i-1] up to bounds[i]
	cursor    *cursor
}

// newWeighted returns a picker over endpoints of positive weight.
func newWeighted(endpoints []*Endpoint, weights []uint32, c *cursor) *weighted {
	var total, sum uint64
	for _, w := range weights {
		total += uint64(w)
	}
	bounds := make([]uint64, len(weights))
	for i, w := range weights {
		if sum += uint64(w); sum == total {
			bounds[i] = math.MaxUint64
			continue
		}
		bounds[i], _ = bits.Div64(sum, 0, total) // 2^64 × sum / total
	}
	return &weighted{endpoints: endpoints, bounds: bounds, cursor: c}
}

// draw returns the owner of the cursor's next point.
func (w *weighted) draw() int {
	u := w.cursor.next()
	i := sort.Search(len(w.bounds), func(i int) bool { return u < w.bounds[i] })
	return min(i, len(w.bounds)-1)
}

// redraws is how often a skipped endpoint is answered by drawing again, which
// keeps the others' shares, before the neighbours are tried in turn, which ends.
const redraws = 8

// Pick implements Picker.
func (w *weighted) Pick(p Pick) int {
	i := w.draw()
	if p.Skip == nil {
		return i
	}
	for range redraws {
		if !p.Skip.Skip(w.endpoints[i]) {
			return i
		}
		i = w.draw()
	}
	return nextFree(w.endpoints, i, p.Skip)
}

// nextFree returns the first endpoint from i on, around the end, that is not
// skipped; -1 if there is none.
func nextFree(endpoints []*Endpoint, i int, skip Skip) int {
	for k := range endpoints {
		if j := (i + k) % len(endpoints); !skip.Skip(endpoints[j]) {
			return j
		}
	}
	return -1
}

// least takes the less loaded of two weighted draws, measured by requests in
// flight per weight (Mitzenmacher, The Power of Two Choices, IEEE TPDS 2001).
type least struct {
	*weighted
	weights []uint32
}

// Pick implements Picker.
func (l *least) Pick(p Pick) int {
	a := l.weighted.Pick(p)
	b := l.weighted.Pick(p)
	if a < 0 || b < 0 {
		return max(a, b)
	}
	if l.load(b, a) < l.load(a, b) {
		return b
	}
	return a
}

// load returns what endpoint i would carry with one request more, in units that
// make it comparable with endpoint j's.
func (l *least) load(i, j int) uint64 {
	n := uint64(max(0, l.endpoints[i].InFlight())) + 1
	return n * uint64(l.weights[j])
}
