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

// pickers makes one of each kind.
func pickers(es []*Endpoint, weights []uint32) map[string]Picker {
	w := newWeighted(es, weights, newCursor())
	return map[string]Picker{
		"weighted": w,
		"least":    &least{w, weights},
		"hash":     newRing(es, weights),
	}
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
				require.Equal(t, -1, p.Pick(Pick{Hash: hash, Skip: skipAllBut(es)}), "%s: all skipped", name)
				keep := i % n
				require.Equal(t, keep, p.Pick(Pick{Hash: hash, Skip: skipAllBut(es, keep)}), "%s: one left", name)
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
		p := newWeighted(endpoints(len(weights)), weights, newCursor())
		const picks = 10_000
		got := make([]int, len(weights))
		for range picks {
			got[p.Pick(Pick{})]++
		}
		for i, w := range weights {
			assert.InDelta(t, picks*float64(w)/total, got[i], 4, "weights %v, endpoint %d of %v", weights, i, got)
		}
	}
}

func TestASkippedEndpointsShareIsSpreadByWeight(t *testing.T) {
	es := endpoints(4)
	p := newWeighted(es, []uint32{1000, 1000, 2000, 4000}, newCursor())
	got := make([]int, 4)
	for range 8000 {
		got[p.Pick(Pick{Skip: skipping{es[3]: true}})]++
	}
	assert.Zero(t, got[3])
	assert.InDelta(t, 2000, got[0], 150)
	assert.InDelta(t, 2000, got[1], 150)
	assert.InDelta(t, 4000, got[2], 150)
}

func TestLeastPrefersTheLessLoadedPerWeight(t *testing.T) {
	es := endpoints(2)
	w := []uint32{1000, 1000}
	p := &least{newWeighted(es, w, newCursor()), w}
	for range 10 {
		es[0].Begin()
	}
	got := make([]int, 2)
	for range 1000 {
		got[p.Pick(Pick{})]++
	}
	assert.Less(t, got[0], 400, "endpoint 0 has ten requests in flight, endpoint 1 none: %v", got)
}

func TestRingMovesOnlyTheKeysOfWhoLeaves(t *testing.T) {
	es := endpoints(20)
	weights := make([]uint32, len(es))
	for i := range weights {
		weights[i] = uint32(500 + 100*i)
	}
	before := newRing(es, weights)
	after := newRing(slices.Delete(slices.Clone(es), 7, 8), slices.Delete(slices.Clone(weights), 7, 8))
	moved := 0
	for i := range 20_000 {
		h := xxhash.Sum64String(fmt.Sprint("user-", i))
		was, is := before.endpoints[before.Pick(Pick{Hash: h})], after.endpoints[after.Pick(Pick{Hash: h})]
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
	r := newRing(es, weights)
	got := make([]int, 5)
	reversed := newRing([]*Endpoint{es[4], es[3], es[2], es[1], es[0]}, []uint32{1000, 3000, 2000, 1000, 1000})
	for i := range 80_000 {
		h := xxhash.Sum64String(strconv.Itoa(i))
		k := r.Pick(Pick{Hash: h})
		got[k]++
		if other := reversed.endpoints[reversed.Pick(Pick{Hash: h})]; other != es[k] {
			require.Same(t, es[k], other)
		}
	}
	for i, w := range weights {
		assert.InEpsilon(t, float64(w)*10, got[i], 0.35, "128 points for each unit of weight spread this well: %v", got)
	}
}

func TestRingBoundsAnEndpointsPoints(t *testing.T) {
	es := endpoints(2)
	assert.Len(t, newRing(es, []uint32{10_000_000, 1}).points, maxRingPoints+1)
	assert.Len(t, newRing(es, []uint32{16_001, 1}).points, maxRingPoints+1, "one above the bound")
	assert.Len(t, newRing(es, []uint32{15_000, 1}).points, 15*ringPoints+1)
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
		assert.Zero(t, testing.AllocsPerRun(1000, func() { p.Pick(Pick{Hash: 42}) }), name)
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
					p.Pick(Pick{Hash: h})
				}
			})
		}
	}
}

func TestALargeRingIsBoundedAndStaysConsistent(t *testing.T) {
	es := endpoints(400)
	heavy := slices.Repeat([]uint32{16_000}, len(es)) // 400 × 2048 points would be too many
	r := newRing(es, heavy)
	assert.LessOrEqual(t, len(r.points), maxRing)
	assert.Greater(t, len(r.points), maxRing/2)
	after := newRing(slices.Delete(slices.Clone(es), 7, 8), heavy[1:])
	for i := range 5000 {
		h := xxhash.Sum64String(strconv.Itoa(i))
		was, is := r.endpoints[r.Pick(Pick{Hash: h})], after.endpoints[after.Pick(Pick{Hash: h})]
		if was != es[7] && was != is {
			require.Equal(t, was.id, is.id)
		}
	}
}

// counting skips everybody and counts how often it is asked.
type counting struct{ n *int }

func (c counting) Skip(*Endpoint) bool { *c.n++; return true }

func TestAPickWithoutAWayOutEndsSoon(t *testing.T) {
	es := endpoints(50)
	for name, p := range pickers(es, slices.Repeat([]uint32{20_000}, len(es))) {
		n := 0
		require.Equal(t, -1, p.Pick(Pick{Hash: 1, Skip: counting{&n}}), name)
		assert.LessOrEqual(t, n, 2*(len(es)+ringSteps), name)
	}
}
