package balancer

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

const (
	// ringPoints is how many points an endpoint of weight 1.0 has on the ring.
	ringPoints = 64
	// maxRingPoints bounds one endpoint's points, and with them a ring's memory;
	// from a weight of 8 on, more weight makes no difference to who owns a key. The
	// bound on its load knows the whole weight.
	maxRingPoints = 8 * ringPoints
	// ringSteps is how many points a pick looks at for an endpoint that will do,
	// before it asks each endpoint once.
	ringSteps = 64
	// overload is how much more than its share by weight an endpoint may have in
	// flight before its keys spill to the next: 1.25 times.
	overload = 1.25
)

// ring gives each key one owner, the same in every process: consistent hashing
// (Karger et al., STOC 1997). An endpoint's points depend on its ID and weight
// alone, so when one leaves exactly its own keys move.
//
// An endpoint that has more than overload times its share in flight passes its keys
// on to the next one on the ring until it has less: bounded loads (Mirrokni, Thorup
// and Zadimoghaddam, SODA 2018), for each request.
type ring struct {
	endpoints []*Endpoint
	weights   []uint32
	shares    []float64 // overload × weight / all weights
	hashes    []uint64  // of the points, sorted
	owners    []int32   // of the points
	guide     []uint32  // the first point of each of equal parts of the circle
	shift     uint
}

type point struct {
	hash  uint64
	owner int32
}

// newRing returns the ring of endpoints, which are sorted by ID. The points of
// those that old (nil: none) has with the same weight are taken over.
func newRing(endpoints []*Endpoint, weights []uint32, old *ring) *ring {
	r := &ring{endpoints: endpoints, weights: weights, shares: make([]float64, len(weights))}
	var total float64
	for _, w := range weights {
		total += float64(w)
	}
	for i, w := range weights {
		r.shares[i] = overload * float64(w) / total
	}
	kept, fresh := r.points(old)
	r.merge(kept, fresh)
	r.index()
	return r
}

// points returns the points taken over from old and the new ones, both sorted.
func (r *ring) points(old *ring) (kept, fresh []point) {
	stay := map[*Endpoint]int32{}
	if old != nil {
		for i, e := range old.endpoints {
			stay[e] = int32(i)
		}
	}
	var now []int32 // the new index of each old endpoint, -1 if its points are void
	if old != nil {
		now = slices.Repeat([]int32{-1}, len(old.endpoints))
	}
	for i, e := range r.endpoints {
		if k, ok := stay[e]; ok && old.weights[k] == r.weights[i] {
			now[k] = int32(i)
			continue
		}
		buf := append([]byte(e.id), 0, 0, 0)
		for k := range pointsOf(r.weights[i]) {
			binary.LittleEndian.PutUint16(buf[len(buf)-2:], uint16(k))
			fresh = append(fresh, point{xxhash.Sum64(buf), int32(i)})
		}
	}
	slices.SortFunc(fresh, r.compare)
	if old != nil {
		for i, hash := range old.hashes {
			if owner := now[old.owners[i]]; owner >= 0 {
				kept = append(kept, point{hash, owner})
			}
		}
	}
	return kept, fresh
}

// compare orders points by their hash. Where two endpoints have the same, the order
// of their IDs decides, in every process.
func (r *ring) compare(a, b point) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.owner, b.owner))
}

func (r *ring) merge(a, b []point) {
	n := len(a) + len(b)
	r.hashes, r.owners = make([]uint64, 0, n), make([]int32, 0, n)
	for len(a)+len(b) > 0 {
		from := &a
		if len(a) == 0 || len(b) > 0 && r.compare(b[0], a[0]) < 0 {
			from = &b
		}
		r.hashes, r.owners = append(r.hashes, (*from)[0].hash), append(r.owners, (*from)[0].owner)
		*from = (*from)[1:]
	}
}

func (r *ring) index() {
	log := uint(bits.Len(uint(len(r.hashes) - 1)))
	r.guide, r.shift = make([]uint32, 1<<log), 64-log
	at := 0
	for part := range r.guide {
		for at < len(r.hashes) && r.hashes[at]>>r.shift < uint64(part) {
			at++
		}
		r.guide[part] = uint32(at)
	}
}

func pointsOf(weight uint32) int {
	return min(max(1, int(weight)*ringPoints/1000), maxRingPoints)
}

// pick returns the owner of the first point from the hash on, or the next one's that
// is neither skipped nor overloaded while total requests are in flight; if all that
// are not skipped are overloaded, the first of them.
func (r *ring) pick(hash uint64, skip Skip, total int64) int {
	at := int(r.guide[hash>>r.shift&uint64(len(r.guide)-1)]) //nolint:gosec // not negative
	for at < len(r.hashes) && r.hashes[at] < hash {
		at++
	}
	first, owner := -1, 0
	for k := range min(ringSteps, len(r.hashes)) {
		i := at + k
		if i >= len(r.hashes) {
			i -= len(r.hashes)
		}
		owner = int(r.owners[i])
		if skip != nil && skip.Skip(r.endpoints[owner]) {
			continue
		}
		if r.takes(owner, total) {
			return owner
		}
		if first < 0 {
			first = owner
		}
	}
	return r.search(owner, first, skip, total)
}

// takes reports whether one more request keeps the endpoint within its bound.
func (r *ring) takes(i int, total int64) bool {
	return float64(r.endpoints[i].InFlight()) < r.shares[i]*float64(total+1)
}

// search is the long way of pick: it asks each endpoint once.
func (r *ring) search(from, first int, skip Skip, total int64) int {
	for k := range r.endpoints {
		i := (from + k) % len(r.endpoints)
		if skip != nil && skip.Skip(r.endpoints[i]) {
			continue
		}
		if r.takes(i, total) {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}
