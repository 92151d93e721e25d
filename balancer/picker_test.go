package balancer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func endpoints(n int) []*Endpoint {
	out := make([]*Endpoint, n)
	for i := range out {
		addr := fmt.Sprintf("10.0.%d.%d:80", i/250, i%250+1)
		out[i] = &Endpoint{id: addr + "#DEFAULT", addr: addr}
	}
	return out
}

// skipping is a Skip by address.
type skipping map[*Endpoint]bool

func (s skipping) Skip(e *Endpoint) bool { return s[e] }

func skipAllBut(es []*Endpoint, keep ...int) skipping {
	s := skipping{}
	for i, e := range es {
		s[e] = !slices.Contains(keep, i)
	}
	return s
}

// picker is a subset with what a pick of it needs.
type picker struct {
	*subset
	rotation *rotation
}

func (p picker) Pick(hash uint64, skip Skip) int {
	return p.subset.pick(p.rotation, &Decision{hashed: p.ring != nil, hash: hash, subset: p.subset}, Pick{Skip: skip})
}

// picker of the given policy: "weighted", "least" or "hash".
func newPicker(policy string, es []*Endpoint, weights []uint32) picker {
	s := &subset{endpoints: es, weighted: newWeighted(weights), cursor: newCursor(0)}
	switch policy {
	case "least":
		for _, w := range weights {
			s.least = append(s.least, 1/float64(w))
		}
	case "hash":
		s.ring, s.total = ringOf(es, weights, nil), &load{}
	}
	return picker{s, &rotation{}}
}

// ringOf is newRing without a slow start.
func ringOf(es []*Endpoint, weights []uint32, old *ring) *ring {
	return newRing(es, weights, weights, old)
}

// pickers makes one of each kind.
func pickers(es []*Endpoint, weights []uint32) map[string]picker {
	all := map[string]picker{}
	for _, policy := range []string{"weighted", "least", "hash"} {
		all[policy] = newPicker(policy, es, weights)
	}
	return all
}

func TestEveryPickerAlwaysEndsAndNeverPicksWhatIsSkipped(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100} {
		es := endpoints(n)
		weights := make([]uint32, n)
		for i := range weights {
			weights[i] = uint32(1 + i*i*1000) // one dominates
		}
		for name, p := range pickers(es, weights) {
			for i := range 1000 {
				hash := rand.Uint64()
				require.Equal(t, -1, p.Pick(hash, skipAllBut(es)), "%s: all skipped", name)
				keep := i % n
				require.Equal(t, keep, p.Pick(hash, skipAllBut(es, keep)), "%s: one left", name)
			}
		}
	}
}

func TestWeightedGivesEachItsShare(t *testing.T) {
	for _, weights := range [][]uint32{
		{1000},
		{500, 1000, 1500},
		{1, 10_000_000},
		{1000, 1000, 1000, 1000, 1000},
		{100, 300, 333, 1, 7000},
	} {
		var total float64
		for _, w := range weights {
			total += float64(w)
		}
		p := newPicker("weighted", endpoints(len(weights)), weights)
		const picks = 10_000
		got := make([]int, len(weights))
		for range picks {
			got[p.Pick(0, nil)]++
		}
		for i, w := range weights {
			assert.InDelta(t, picks*float64(w)/total, got[i], 4, "weights %v, endpoint %d of %v", weights, i, got)
		}
	}
}

func TestASkippedEndpointsShareIsSpreadByWeight(t *testing.T) {
	es := endpoints(4)
	p := newPicker("weighted", es, []uint32{1000, 1000, 2000, 4000})
	got := make([]int, 4)
	for range 8000 {
		got[p.Pick(0, skipping{es[3]: true})]++
	}
	assert.Zero(t, got[3])
	assert.InDelta(t, 2000, got[0], 150)
	assert.InDelta(t, 2000, got[1], 150)
	assert.InDelta(t, 4000, got[2], 150)
}

func TestLeastPrefersTheLessLoadedPerWeight(t *testing.T) {
	es := endpoints(2)
	w := []uint32{1000, 1000}
	p := newPicker("least", es, w)
	for range 10 {
		es[0].inflight.Add(1)
	}
	got := make([]int, 2)
	for range 1000 {
		got[p.Pick(0, nil)]++
	}
	assert.Less(t, got[0], 400, "endpoint 0 has ten requests in flight, endpoint 1 none: %v", got)
}

// flipping is a Skip whose answer changes all the time, as that of a connection does.
type flipping struct{ n *int }

func (f flipping) Skip(*Endpoint) bool { *f.n++; return *f.n%3 != 0 }

func TestASkipThatChangesItsMindBreaksNothing(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		es := endpoints(n)
		for name, p := range pickers(es, slices.Repeat([]uint32{1000}, n)) {
			for start := range 1000 {
				asked := start
				got := p.Pick(rand.Uint64(), flipping{&asked})
				require.True(t, got >= -1 && got < n, "%s: %d of %d", name, got, n)
			}
		}
	}
}

func TestLeastHoldsEachAgainstAll(t *testing.T) {
	p := newPicker("least", endpoints(10), slices.Repeat([]uint32{1000}, 10))
	met := map[[2]int]int{}
	for range 10_000 {
		a, b := p.two(p.rotation, nil)
		require.NotEqual(t, a, b)
		met[[2]int{min(a, b), max(a, b)}]++
	}
	assert.Len(t, met, 45)
	for pair, n := range met {
		assert.InDelta(t, 10_000/45, n, 200, "%v", pair)
	}
}

func TestRingMovesOnlyTheKeysOfWhoLeaves(t *testing.T) {
	es := endpoints(20)
	weights := make([]uint32, len(es))
	for i := range weights {
		weights[i] = uint32(500 + 100*i)
	}
	before := ringOf(es, weights, nil)
	after := ringOf(slices.Delete(slices.Clone(es), 7, 8), slices.Delete(slices.Clone(weights), 7, 8), nil)
	moved := 0
	for i := range 20_000 {
		h := xxhash.Sum64String(fmt.Sprint("user-", i))
		was, is := before.endpoints[before.pick(h, nil, 0)], after.endpoints[after.pick(h, nil, 0)]
		if was == es[7] {
			moved++
			continue
		}
		if was != is {
			require.Equal(t, was.id, is.id)
		}
	}
	assert.Positive(t, moved)
}

func TestRingRespectsWeightsAndIsTheSameInEveryOrder(t *testing.T) {
	es := endpoints(5)
	weights := []uint32{1000, 1000, 2000, 3000, 1000}
	r := ringOf(es, weights, nil)
	got := make([]int, 5)
	reversed := ringOf([]*Endpoint{es[4], es[3], es[2], es[1], es[0]}, []uint32{1000, 3000, 2000, 1000, 1000}, nil)
	for i := range 80_000 {
		h := xxhash.Sum64String(strconv.Itoa(i))
		k := r.pick(h, nil, 0)
		got[k]++
		if other := reversed.endpoints[reversed.pick(h, nil, 0)]; other != es[k] {
			require.Same(t, es[k], other)
		}
	}
	for i, w := range weights {
		assert.InEpsilon(t, float64(w)*10, got[i], 0.35, "128 points for each unit of weight spread this well: %v", got)
	}
}

func TestRingBoundsAnEndpointsPoints(t *testing.T) {
	es := endpoints(2)
	for _, heavy := range []uint32{8_000, 8_001, 10_000_000} {
		assert.Len(t, ringOf(es, []uint32{heavy, 1}, nil).hashes, maxRingPoints+1)
	}
	assert.Len(t, ringOf(es, []uint32{7_000, 1}, nil).hashes, 7*ringPoints+1)
}

func TestWalkTakesEverySlotOnce(t *testing.T) {
	w := newWalk()
	for range 3 {
		seen := make([]bool, 10_000)
		for range seen {
			s := w.next()
			require.False(t, seen[s])
			seen[s] = true
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	es := endpoints(100)
	weights := slices.Repeat([]uint32{1000}, 100)
	for name, p := range pickers(es, weights) {
		assert.Zero(t, testing.AllocsPerRun(1000, func() { p.Pick(42, nil) }), name)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		for name, p := range pickers(endpoints(n), slices.Repeat([]uint32{1000}, n)) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				var h uint64
				for b.Loop() {
					h += golden
					p.Pick(h, nil)
				}
			})
		}
	}
}

// A ring that took over the points of another is the ring made anew.
func TestARingThatGoesOnIsTheRingMadeAnew(t *testing.T) {
	all := endpoints(50)
	weights := make([]uint32, len(all))
	for i := range weights {
		weights[i] = uint32(1 + 300*i)
	}
	r := ringOf(all, weights, nil)
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var es []*Endpoint
		var ws []uint32
		for i, e := range all {
			if random.IntN(4) > 0 || i == 0 {
				w := weights[i]
				if random.IntN(5) == 0 {
					w = uint32(1 + random.IntN(9000))
				}
				es, ws = append(es, e), append(ws, w)
			}
		}
		fresh := ringOf(es, ws, nil)
		r = ringOf(es, ws, r)
		require.Equal(t, fresh, r)
	}
}

// The order of endpoints is that of their IDs, and every process has the same.
func TestPointsOfOneHashHaveOneOrder(t *testing.T) {
	r := &ring{}
	r.merge([]point{{1, 0}, {2, 2}, {2, 4}, {9, 9}}, []point{{2, 1}, {2, 3}, {10, 0}})
	assert.Equal(t, []uint64{1, 2, 2, 2, 2, 9, 10}, r.hashes)
	assert.Equal(t, []int32{0, 1, 2, 3, 4, 9, 0}, r.owners)
}

// counting skips everybody and counts how often it is asked.
type counting struct{ n *int }

func (c counting) Skip(*Endpoint) bool { *c.n++; return true }

func TestAPickWithoutAWayOutEndsSoon(t *testing.T) {
	es := endpoints(50)
	for name, p := range pickers(es, slices.Repeat([]uint32{20_000}, len(es))) {
		n := 0
		require.Equal(t, -1, p.Pick(1, counting{&n}), name)
		assert.LessOrEqual(t, n, 2*(len(es)+ringSteps), name)
	}
}
