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
)

// ring gives each key one owner, the same in every process: consistent hashing
// (Karger et al., STOC 1997). An endpoint's points depend on its ID and weight
// alone, so when one leaves exactly its own keys move.
type ring struct {
	endpoints []*Endpoint
	points    []point // sorted by hash
}

type point struct {
	hash  uint64
	owner int32
}

func newRing(endpoints []*Endpoint, weights []uint32) *ring {
	r := &ring{endpoints: endpoints}
	for i, e := range endpoints {
		n := min(max(1, int(weights[i])*ringPoints/1000), maxRingPoints)
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

// Pick implements Picker: the owner of the first point from the hash on, or the
// next one's that is not skipped.
func (r *ring) Pick(p Pick) int {
	at := sort.Search(len(r.points), func(i int) bool { return r.points[i].hash >= p.Hash })
	for k := range r.points {
		owner := int(r.points[(at+k)%len(r.points)].owner)
		if p.Skip == nil || !p.Skip.Skip(r.endpoints[owner]) {
			return owner
		}
	}
	return -1
}
