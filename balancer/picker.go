package balancer

import "sync/atomic"

// Skip says which endpoints a pick passes over: those already tried, or not
// ready on this connection.
type Skip interface {
	Skip(e *Endpoint) bool
}

// Pick is the question for one of a decision's candidates.
type Pick struct {
	// Skip is nil if every endpoint will do.
	Skip Skip
	// Now is the time in ns, on any clock that only goes forward; only a director
	// that is Timed reads it.
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
	// load counts the requests in flight that the ring gave out; nil without one.
	load *atomic.Int64
}

// pick returns the index of a member that is not skipped, -1 if all are. It never
// blocks, and always ends.
func (s *subset) pick(r *rotation, dec *Decision, p Pick) int {
	switch {
	case dec.hashed:
		return s.ring.pick(dec.hash, p.Skip, s.load.Load())
	case s.least != nil:
		return s.pickLeast(r, p)
	}
	return s.pickWeighted(r, p.Skip)
}

// redraws is how often a skipped endpoint is answered by drawing again, which
// keeps the others' shares, before the neighbours are tried in turn, which ends.
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
	for k := range s.endpoints {
		if j := (i + k) % len(s.endpoints); !skip.Skip(s.endpoints[j]) {
			return j
		}
	}
	return -1
}

// pickLeast takes the less loaded of two weighted draws (Mitzenmacher, The Power of
// Two Choices, IEEE TPDS 2001), measured by what one more request would cost per
// weight.
func (s *subset) pickLeast(r *rotation, p Pick) int {
	var a, b int
	if p.Skip == nil {
		x, y := r.takeTwo(s.cursor)
		a, b = s.weighted.owner(x), s.weighted.owner(y)
	} else {
		a, b = s.pickWeighted(r, p.Skip), s.pickWeighted(r, p.Skip)
	}
	if a == b || b < 0 {
		return a
	}
	if s.endpoints[b].cost(p.Now)*s.least[b] < s.endpoints[a].cost(p.Now)*s.least[a] {
		return b
	}
	return a
}
