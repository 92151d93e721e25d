package balancer

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"
)

const (
	// ringPoints is how many points an endpoint of weight 1.0 has on the ring.
	ringPoints = 128
	// maxRingPoints bounds one endpoint's points, and with them a ring's memory;
	// from a weight of 16 on, more weight makes no difference.
	maxRingPoints = 16 * ringPoints
	// maxRing is about how many points a whole ring has at most: so many take some
	// ten milliseconds to sort.
	maxRing = 1 << 17
	// ringSteps is how many points a pick looks at for an endpoint that is not
	// skipped, before it asks each endpoint once.
	ringSteps = 64
)

// ring gives each key one owner, the same in every process: consistent hashing
// (Karger et al., STOC 1997). An endpoint's points depend on its ID and weight
// alone, so when one leaves exactly its own keys move; but for a ring that would
// grow beyond maxRing: there, all have every second point less, or every fourth,
// and so on.
type ring struct {
	endpoints []*Endpoint
	weights   []uint32
	points    []point // sorted by hash
}

type point struct {
	hash  uint64
	owner int32
}

func newRing(endpoints []*Endpoint, weights []uint32) *ring {
	r := &ring{endpoints: endpoints, weights: weights}
	total, halvings := 0, 0
	for _, w := range weights {
		total += ringPointsOf(w)
	}
	for total>>halvings > maxRing {
		halvings++
	}
	r.points = make([]point, 0, total>>halvings+len(endpoints))
	for i, e := range endpoints {
		n := max(1, ringPointsOf(weights[i])>>halvings)
		buf := append([]byte(e.id), 0, 0, 0)
		for k := range n {
			binary.LittleEndian.PutUint16(buf[len(buf)-2:], uint16(k))
			r.points = append(r.points, point{xxhash.Sum64(buf), int32(i)})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.owner, b.owner))
	})
	return r
}

func ringPointsOf(weight uint32) int {
	return min(max(1, int(weight)*ringPoints/1000), maxRingPoints)
}

// Pick implements Picker: the owner of the first point from the hash on, or the
// next one's that is not skipped.
func (r *ring) Pick(p Pick) int {
	at := sort.Search(len(r.points), func(i int) bool { return r.points[i].hash >= p.Hash })
	owner := 0
	for k := range min(ringSteps, len(r.points)) {
		owner = int(r.points[(at+k)%len(r.points)].owner)
		if p.Skip == nil || !p.Skip.Skip(r.endpoints[owner]) {
			return owner
		}
	}
	return nextFree(r.endpoints, owner, p.Skip)
}
