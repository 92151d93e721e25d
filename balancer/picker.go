package balancer

import (
	"math/bits"
	"sync"
)

// Skip says which endpoints a pick passes over: those already tried, or not
// ready on this connection.
type Skip interface {
	Skip(e *Endpoint) bool
}

// Pick is the question for one of a decision's candidates.
type Pick struct {
	// Skip is nil if every endpoint will do.
	Skip Skip
	// Now is the time in ns, on any clock that only goes forward and is never 0; 0
	// where none is at hand: then nobody counts as ejected.
	Now int64
}

// subset is the candidates of a decision: instances of one snapshot, never none.
type subset struct {
	members   []int32     // indices in the snapshot
	skipped   []string    // the labels of `prefer` that were skipped
	endpoints []*Endpoint // of the members
	weighted  weighted
	cursor    *cursor   // the rotation; the next director's subset of this key goes on with it
	least     []float64 // 1/weight of each; nil unless the balance is least
	ring      *ring     // nil unless the balance is hash
	// total counts the requests in flight that the ring gave out; nil without one.
	total *load
	// ejecting is held while one is ejected, so that no two are, each as the last that
	// can be spared. Nothing is locked under it.
	ejecting sync.Mutex
}

// pick returns the index of a member that is not skipped, -1 if all are. It never
// blocks, and always ends.
func (s *subset) pick(r *rotation, dec *Decision, p Pick) int {
	switch {
	case p.Skip == nil && s.least == nil && !dec.hashed: // nearly every pick
		return s.weighted.owner(r.take(s.cursor))
	case dec.hashed:
		i := s.ring.pick(dec.hash, p.Skip, s.total.Load())
		dec.given = int32(i + 1) //nolint:gosec // a list is far shorter
		return i
	case s.least != nil:
		return s.pickLeast(r, p)
	}
	return s.pickWeighted(r, p.Skip)
}

// redraws is how often a skipped endpoint is answered by drawing again, which
// keeps the others' shares, before all are asked, which ends.
const redraws = 8

func (s *subset) pickWeighted(r *rotation, skip Skip) int {
	i := s.weighted.owner(r.take(s.cursor))
	if skip == nil {
		return i
	}
	for range redraws {
		if !skip.Skip(s.endpoints[i]) {
			return i
		}
		i = s.weighted.owner(r.take(s.cursor))
	}
	return s.pickOfFew(r.take(s.cursor), skip)
}

// pickOfFew picks, where most are skipped, one of the others by weight: it asks all of
// them, twice.
func (s *subset) pickOfFew(point uint64, skip Skip) int {
	total, last := uint64(0), -1
	for i, e := range s.endpoints {
		if !skip.Skip(e) {
			total += s.weighted.span(i)
			last = i
		}
	}
	at, _ := bits.Mul64(point, total)
	for i, e := range s.endpoints {
		if skip.Skip(e) {
			continue
		}
		span := s.weighted.span(i)
		if at < span {
			return i
		}
		at -= span
	}
	return last // what is skipped has changed meanwhile
}

// two draws two members, different ones if there are, that are not skipped.
func (s *subset) two(r *rotation, skip Skip) (a, b int) {
	if skip != nil {
		if a = s.pickWeighted(r, skip); a < 0 {
			return a, a
		}
		if b = s.pickWeighted(r, skip); a == b {
			b = s.pickWeighted(r, skip)
		}
		return a, b
	}
	point := r.take(s.cursor)
	a = s.weighted.owner(point)
	// Not the sequence's next point: that is always as far away, so that each
	// endpoint would only ever be held against the same one or two.
	point = (point ^ point>>31) * 0xBF58476D1CE4E5B9
	if b = s.weighted.owner(point ^ point>>32); a == b {
		b = (a + 1) % len(s.endpoints)
	}
	return a, b
}

// pickLeast takes the less loaded of two weighted draws (Mitzenmacher, The Power of
// Two Choices, IEEE TPDS 2001), measured by what one more request would cost per
// weight.
func (s *subset) pickLeast(r *rotation, p Pick) int {
	a, b := s.two(r, p.Skip)
	if a < 0 || b < 0 { // What is skipped may change meanwhile: either may be the one.
		return max(a, b)
	}
	if s.endpoints[b].cost(p.Now)*s.least[b] < s.endpoints[a].cost(p.Now)*s.least[a] {
		return b
	}
	return a
}
