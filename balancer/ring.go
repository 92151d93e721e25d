package balancer

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync/atomic"

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
	// before it takes whom it found.
	ringSteps = 64
	// overload is how much more than its share by weight an endpoint may have in
	// flight before its keys spill to the next: 1.25 times.
	overload = 1.25
	// freeLoad is how many requests an endpoint of average weight may have in flight
	// however few there are in all: evenness is worth less then than an owner that
	// stays.
	freeLoad = 8
)

// ring gives each key one owner, the same in every process: consistent hashing
// (Karger et al., STOC 1997). An endpoint's points depend on its ID and weight
// alone, so when one leaves exactly its own keys move.
//
// An endpoint that has more than overload times its share in flight, and more than
// freeLoad, passes its keys on to the next one on the ring until it has less: bounded loads (Mirrokni, Thorup
// and Zadimoghaddam, SODA 2018), for each request.
type ring struct {
	endpoints []*Endpoint
	weights   []uint32
	loads     []*load   // the requests in flight that the ring gave to each endpoint
	shares    []float64 // overload × weight / all weights, as far as slow starts have come
	hashes    []uint64  // of the points, sorted
	owners    []int32   // of the points
	guide     []uint32  // the first point of each of equal parts of the circle
	shift     uint
}

type point struct {
	hash  uint64
	owner int32
}

// load counts requests in flight, on a line of its own.
type load struct {
	atomic.Int64
	_ [64 - 8]byte
}

// newRing returns the ring of endpoints, which are sorted by ID. Grown are the
// weights as far as slow starts have come. What old (nil: none) has of an endpoint is
// taken over: its load, and with the same weight its points.
func newRing(endpoints []*Endpoint, weights, grown []uint32, old *ring) *ring {
	r := &ring{endpoints: endpoints, weights: weights, shares: make([]float64, len(weights))}
	var total float64
	for _, w := range grown {
		total += float64(w)
	}
	for i, w := range grown {
		r.shares[i] = overload * float64(w) / total
	}
	if old != nil && slices.Equal(old.endpoints, endpoints) && slices.Equal(old.weights, weights) {
		r.loads, r.hashes, r.owners, r.guide, r.shift = old.loads, old.hashes, old.owners, old.guide, old.shift
		return r
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
	r.loads = make([]*load, len(r.endpoints))
	for i, e := range r.endpoints {
		k, ok := stay[e]
		if ok {
			r.loads[i] = old.loads[k]
		} else {
			r.loads[i] = &load{}
		}
		if ok && old.weights[k] == r.weights[i] {
			now[k] = int32(i)
			continue
		}
		buf := append([]byte(e.id), 0, 0, 0)
		for k := range pointsOf(r.weights[i]) {
			binary.LittleEndian.PutUint16(buf[len(buf)-2:], uint16(k))
			fresh = append(fresh, point{xxhash.Sum64(buf), int32(i)})
		}
	}
	fresh = r.sorted(fresh)
	if old != nil {
		for i, hash := range old.hashes {
			if owner := now[old.owners[i]]; owner >= 0 {
				kept = append(kept, point{hash, owner})
			}
		}
	}
	return kept, fresh
}

// sorted returns points in their order. Hashes are spread evenly: sorted into as many
// parts of the circle as there are points, hardly any are left to compare.
func (r *ring) sorted(points []point) []point {
	log := bits.Len(uint(len(points)))
	shift := 64 - log
	next := make([]int32, 1<<log+1)
	for _, p := range points {
		next[p.hash>>shift+1]++
	}
	for i := 1; i < len(next); i++ {
		next[i] += next[i-1]
	}
	out := make([]point, len(points))
	for _, p := range points {
		out[next[p.hash>>shift]] = p
		next[p.hash>>shift]++
	}
	for i := 1; i < len(out); i++ {
		for k := i; k > 0 && r.compare(out[k], out[k-1]) < 0; k-- {
			out[k], out[k-1] = out[k-1], out[k]
		}
	}
	return out
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
// is neither skipped nor overloaded while total requests of the ring are in flight.
// If it finds none soon, the first that is not skipped will do.
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
	if first >= 0 {
		return first
	}
	for k := range r.endpoints {
		if i := (owner + k) % len(r.endpoints); skip == nil || !skip.Skip(r.endpoints[i]) {
			return i
		}
	}
	return -1
}

// takes reports whether one more request keeps the endpoint within its bound.
func (r *ring) takes(i int, total int64) bool {
	return float64(r.loads[i].Load()) < r.shares[i]*max(float64(total+1), freeLoad/overload*float64(len(r.endpoints)))
}
