package balancer

import (
	"math"
	"math/bits"
)

// weighted gives each endpoint its share by weight, in an order as even as the
// cursor's: over any stretch of picks an endpoint's error stays within a few. It is
// the inverse of the cumulative weight, found through a guide table (Chen and Asau,
// On Generating Random Variates from an Empirical Distribution, 1974): the cost of
// a pick does not depend on the number of endpoints. It takes 12 to 16 bytes an
// endpoint.
type weighted struct {
	upper []uint64 // endpoint i owns the points above upper[i-1] up to upper[i]
	guide []uint32 // who owns the first point of each of equal parts of the circle
	shift uint     // how a point's part is found
}

// newWeighted returns the shares of positive weights.
func newWeighted(weights []uint32) weighted {
	n := len(weights)
	log := uint(bits.Len(uint(n - 1)))
	w := weighted{upper: make([]uint64, n), guide: make([]uint32, 1<<log), shift: 64 - log}
	var total, sum uint64
	for _, weight := range weights {
		total += uint64(weight)
	}
	part := 0
	for i, weight := range weights {
		sum += uint64(weight)
		upper := uint64(math.MaxUint64)
		if sum < total {
			upper, _ = bits.Div64(sum, 0, total) // 2^64 × sum / total
			upper--                              // that point is the next one's
		}
		w.upper[i] = upper
		for ; part < len(w.guide) && uint64(part)<<w.shift <= upper; part++ {
			w.guide[part] = uint32(i)
		}
	}
	return w
}

// span returns how much of the circle endpoint i owns.
func (w *weighted) span(i int) uint64 {
	if i == 0 {
		return w.upper[0]
	}
	return w.upper[i] - w.upper[i-1]
}

// owner returns whose a point is.
func (w *weighted) owner(point uint64) int {
	i := int(w.guide[point>>w.shift&uint64(len(w.guide)-1)]) //nolint:gosec // not negative
	for point > w.upper[i] {
		i++
	}
	return i
}
