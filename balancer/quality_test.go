package balancer

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// mixed returns n instances of v1 with weights from 0.001 to 100.
func mixed(n int) []registry.Instance {
	random := rand.New(rand.NewPCG(3, 4))
	out := make([]registry.Instance, n)
	for i := range out {
		out[i] = instance(fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&0xff, i&0xff), 0.001+100*random.Float64(), "version", "v1")
	}
	return out
}

// worst returns the largest difference of a count from its fair share, and the
// share of all picks that are misplaced.
func worst(counts []int64, weights func(i int) uint32) (most, misplaced float64) {
	var total, picks float64
	for i, n := range counts {
		total += float64(weights(i))
		picks += float64(n)
	}
	for i, n := range counts {
		d := math.Abs(float64(n) - picks*float64(weights(i))/total)
		most, misplaced = max(most, d), misplaced+d/2/picks
	}
	return most, misplaced
}

// From any start of the rotation; what is asked for is what a user finds half of the
// time.
func TestAnUpdateEveryTenPicksMovesNoShare(t *testing.T) {
	list := mixed(100)
	for i := range list {
		list[i].Weight = uint32(1000 * (1 + i))
	}
	snap, r := snapshot(list...), rules(t, "gray: v1\ndefault: v1\n")
	random := rand.New(rand.NewPCG(1, 2))
	var most, misplaced []float64
	for range 51 {
		d := Build(r, nil, snap, Options{}, nil)
		d.standard.subset.cursor.next.Store(random.Uint64())
		counts := make([]int64, len(list))
		for i := range 10_000 {
			if i%10 == 0 {
				d = Build(r, nil, snap, Options{}, d)
			}
			dec, err := d.Decide(request{})
			require.NoError(t, err)
			k, _ := d.Pick(&dec, Pick{})
			counts[k]++
		}
		m, share := worst(counts, func(i int) uint32 { return snap.At(i).Weight })
		most, misplaced = append(most, m), append(misplaced, share)
	}
	slices.Sort(most)
	slices.Sort(misplaced)
	t.Logf("FIGURE weighted, 100 endpoints, 10,000 picks, a rebuild every 10, from 51 starts: worst error %.2f picks, at most %.2f; misplaced %.3f %%, at most %.3f %%",
		most[25], most[50], 100*misplaced[25], 100*misplaced[50])
	assert.LessOrEqual(t, most[25], 3.0)
	assert.LessOrEqual(t, most[45], 3.5, "a busy machine moves this goroutine to another core, which leaves a run unfinished")
	assert.LessOrEqual(t, misplaced[25], 0.0033)
}

// All cores together use one sequence.
func TestSeveralCoresTogetherGiveEachItsShare(t *testing.T) {
	for _, cores := range []int{2, 8} {
		list := mixed(100)
		snap := snapshot(list...)
		d := Build(rules(t, "gray: v1\ndefault: v1\n"), nil, snap, Options{}, nil)
		counts := make([]atomic.Int64, len(list))
		var wg sync.WaitGroup
		for range cores {
			wg.Go(func() {
				for range 10_000 / cores {
					dec, err := d.Decide(request{})
					if err != nil {
						t.Error(err)
						return
					}
					k, _ := d.Pick(&dec, Pick{})
					counts[k].Add(1)
				}
			})
		}
		wg.Wait()
		plain := make([]int64, len(list))
		for i := range plain {
			plain[i] = counts[i].Load()
		}
		most, _ := worst(plain, func(i int) uint32 { return snap.At(i).Weight })
		t.Logf("FIGURE weighted: worst error %.2f picks of 10,000 over 100 endpoints by %d goroutines", most, cores)
		assert.LessOrEqual(t, most, 4.0, "a run may be under way on each core")
	}
}

func TestASlotWalkAndThePickerAreNotInStep(t *testing.T) {
	list := versions("v1", "v2", "v2", "v2", "v2", "v2")
	for range 50 { // from many random starts
		d := Build(rules(t, "gray: v1\ndefault: v1\nrules:\n- {name: fifth, to: {v2: 20%}}\n"), nil, snapshot(list...), Options{}, nil)
		counts := make([]int64, len(list))
		for range 10_000 {
			dec, err := d.Decide(request{})
			require.NoError(t, err)
			k, _ := d.Pick(&dec, Pick{})
			counts[k]++
		}
		for _, n := range counts[1:] {
			require.InDelta(t, 400, n, 3, "%v", counts)
		}
	}
}

func TestWhatASubsetTakesForEachEndpoint(t *testing.T) {
	for _, n := range []int{100, 1024, 1025, 10_000} {
		s := &subset{members: make([]int32, n), endpoints: make([]*Endpoint, n), weighted: newWeighted(slices.Repeat([]uint32{1000}, n))}
		bytes := len(s.members)*4 + len(s.endpoints)*8 + len(s.weighted.upper)*8 + len(s.weighted.guide)*4
		assert.LessOrEqual(t, bytes/n, 32, "%d endpoints", n)
	}
	assert.GreaterOrEqual(t, unsafe.Offsetof(Endpoint{}.inflight), uintptr(64), "what is read is on another line than what every request writes")
	assert.Zero(t, unsafe.Sizeof(Endpoint{})%8)
	assert.Equal(t, uintptr(64), unsafe.Offsetof(cursor{}.cores), "what is read is on another line than what every core writes")
}

// TestNoEndpointIsOverloadedByHotKeys: in virtual time, requests for keys whose
// popularity is Zipf's.
func TestNoEndpointIsOverloadedByHotKeys(t *testing.T) {
	const n, inflight, requests = 100, 1000, 100_000
	list := mixed(n)
	for i := range list {
		list[i].Weight = 1000
	}
	snap := snapshot(list...)
	d := Build(rules(t, "gray: v1\ndefault: v1\nbalance: {hash: user}\n"), nil, snap, Options{}, nil)
	random := rand.New(rand.NewPCG(5, 6))
	zipf := rand.NewZipf(random, 1.1, 1, 1_000_000)
	type running struct {
		dec Decision
		e   *Endpoint
	}
	var queue []running
	most := int64(0)
	for range requests {
		if len(queue) == inflight { // one ends, whichever
			k := random.IntN(len(queue))
			queue[k].dec.Done(queue[k].e)
			queue[k] = queue[len(queue)-1]
			queue = queue[:len(queue)-1]
		}
		dec, err := d.Decide(request{user: fmt.Sprint("user-", zipf.Uint64())})
		require.NoError(t, err)
		_, e := d.Pick(&dec, Pick{})
		bound := max(freeLoad, int64(math.Ceil(overload*float64(len(queue)+1)/n)))
		require.LessOrEqual(t, e.InFlight()+1, bound)
		dec.Begin(e, 0)
		most = max(most, e.InFlight())
		queue = append(queue, running{dec, e})
	}
	t.Logf("FIGURE hash: %d in flight over %d endpoints, Zipf keys: at most %d at one, %.2f times the mean", inflight, n, most, float64(most)*n/inflight)
	for _, r := range queue {
		r.dec.Done(r.e)
	}
	for i := range n {
		assert.Zero(t, d.Endpoint(i).InFlight())
	}
	assert.Zero(t, d.standard.subset.total.Load())
}

func TestWithoutLoadEveryKeyStaysWithItsOwner(t *testing.T) {
	es := endpoints(100)
	r := ringOf(es, slices.Repeat([]uint32{1000}, 100), nil)
	for range 1000 {
		h := rand.Uint64()
		owner := r.pick(h, nil, 0)
		r.loads[owner].Store(freeLoad)
		assert.Equal(t, owner, r.pick(h, nil, 1000))
		assert.NotEqual(t, owner, r.pick(h, nil, 500), "8 is more than 1.25 times 501/100")
		r.loads[owner].Store(freeLoad - 1)
		assert.Equal(t, owner, r.pick(h, nil, 0), "so few do not matter")
		r.loads[owner].Store(0)
	}
	for i := range es {
		r.loads[i].Store(1000)
	}
	h := rand.Uint64()
	owner := r.pick(h, nil, 1<<40)
	assert.Equal(t, owner, r.pick(h, nil, 0), "all are overloaded, by other services: the owner")
}

// world is a simulation in virtual time: requests arrive evenly, and end when their
// instance answers.
type world struct {
	now  int64
	ends endings
}

type ending struct {
	at     int64
	dec    Decision
	e      *Endpoint
	start  int64
	failed bool
}

type endings []ending

func (e *endings) Len() int           { return len(*e) }
func (e *endings) Less(i, j int) bool { return (*e)[i].at < (*e)[j].at }
func (e *endings) Swap(i, j int)      { (*e)[i], (*e)[j] = (*e)[j], (*e)[i] }
func (e *endings) Push(x any)         { *e = append(*e, x.(ending)) } //nolint:forcetypeassert // a heap of them
func (e *endings) Pop() any           { old := *e; x := old[len(old)-1]; *e = old[:len(old)-1]; return x }

func (w *world) until(t int64) {
	for len(w.ends) > 0 && w.ends[0].at <= t {
		x := heap.Pop(&w.ends).(ending) //nolint:forcetypeassert // a heap of them
		x.dec.Done(x.e)
		x.e.Observe(time.Duration(x.at-x.start), x.failed, x.at)
	}
	w.now = t
}

// TestPoliciesWithBadInstances simulates ten instances, one of which is slow, fails at
// once, or hangs, under each policy.
func TestPoliciesWithBadInstances(t *testing.T) {
	const n, requests = 10, 20_000
	const gap = int64(500 * time.Microsecond)
	share := map[string]float64{}
	for _, policy := range []string{"weighted", "least", "{hash: user}"} {
		for _, bad := range []string{"slow", "failing", "hung"} {
			list := make([]registry.Instance, n)
			for i := range list {
				list[i] = instance(fmt.Sprintf("10.0.0.%d:1", i+1), 1, "version", "v1")
			}
			d := Build(rules(t, "gray: v1\ndefault: v1\nbalance: "+policy+"\n"), nil, snapshot(list...), Options{}, nil)
			w, random, took := &world{}, rand.New(rand.NewPCG(7, 8)), []time.Duration{}
			toBad, failed := 0, 0
			for i := range requests {
				w.until(int64(i) * gap)
				dec, err := d.Decide(request{user: strconv.Itoa(random.IntN(1000))})
				require.NoError(t, err)
				k, e := d.Pick(&dec, Pick{Now: w.now + 1})
				latency, fails := time.Duration(8+random.IntN(4))*time.Millisecond, false
				if k == 0 {
					toBad++
					switch bad {
					case "slow":
						latency *= 10
					case "failing":
						latency, fails = time.Millisecond, true
					case "hung":
						latency, fails = 10*time.Second, true
					}
				}
				if fails {
					failed++
				}
				took = append(took, latency)
				dec.Begin(e, 0)
				heap.Push(&w.ends, ending{w.now + int64(latency), dec, e, w.now, fails})
			}
			slices.Sort(took)
			share[policy+" "+bad] = float64(toBad) / requests
			t.Logf("FIGURE policies: %-12s one of ten %-7s %5.2f %% of the requests to it, %5.2f %% failed, p50 %v, p99 %v",
				policy, bad, 100*float64(toBad)/requests, 100*float64(failed)/requests, took[requests/2], took[requests*99/100])
		}
	}
	assert.InDelta(t, 0.1, share["weighted slow"], 0.001)
	for _, bad := range []string{"slow", "failing", "hung"} {
		assert.Less(t, share["least "+bad], 0.03, "least, %s", bad)
	}
	assert.Less(t, share["{hash: user} hung"], 0.05, "its load is bounded")
}

func TestAnOldLatencyIsForgotten(t *testing.T) {
	e := &Endpoint{}
	assert.InDelta(t, leastLatency, e.cost(1), 1)
	e.Observe(time.Millisecond/10, true, 1)
	assert.InDelta(t, float64(failurePenalty), e.cost(1), 1, "a fast error is dear")
	assert.InDelta(t, float64(failurePenalty)/2, e.cost(1+int64(latencyMemory)), 1)
	assert.InDelta(t, leastLatency, e.cost(1+2*int64(latencyMemory)), 1, "it is forgotten")
	e.Observe(20*time.Millisecond, false, 1+int64(latencyMemory))
	assert.InDelta(t, 510e6, e.cost(1+int64(latencyMemory)), 1e6, "one good answer is not all")
	for i := range int64(1000) {
		e.Observe(20*time.Millisecond, false, 1+int64(latencyMemory)*(2+i/10))
	}
	assert.InDelta(t, 20e6, e.cost(1+int64(latencyMemory)*102), 12e6)
	e.Observe(50*time.Millisecond, false, 1+int64(latencyMemory)*102)
	assert.InDelta(t, 50e6, e.cost(1+int64(latencyMemory)*102), 1e6, "a slower one counts at once")
}

func TestANewInstanceStartsSlowly(t *testing.T) {
	const second = int64(time.Second)
	old := versions("v1", "v1", "v1")
	r := rules(t, "gray: v1\ndefault: v1\n")
	o := Options{SlowStart: 10 * time.Second, Now: second}
	d := Build(r, nil, snapshot(old...), o, nil)
	assert.False(t, d.Ramping(), "the first list has its weight at once")
	o.Now = 10 * second
	soon := Build(r, nil, snapshot(append(slices.Clone(old), instance("10.0.0.8:1", 2, "version", "v1"))...), o, d)
	assert.False(t, soon.Ramping(), "and so has who comes soon after")
	all := append(slices.Clone(old), instance("10.0.0.9:1", 2, "version", "v1"))
	var order []int
	for _, c := range []struct {
		at    int64
		share float64
	}{{0, 0.2}, {1, 0.2}, {5, 1}, {9, 1.8}, {10, 2}, {100, 2}} {
		o.Now = second*20 + c.at*second
		d = Build(r, nil, snapshot(all...), o, d)
		assert.Equal(t, c.at < 10, d.Ramping(), "after %d s", c.at)
		counts, mine := make([]int64, 4), order[:0:0]
		for range 3200 {
			dec, err := d.Decide(request{})
			require.NoError(t, err)
			k, _ := d.Pick(&dec, Pick{})
			counts[k]++
			if k != 3 {
				mine = append(mine, k)
			}
		}
		assert.InDelta(t, 3200*c.share/(3+c.share), counts[3], 4, "after %d s", c.at)
		order = mine
	}
	again := Build(r, nil, snapshot(all...), Options{SlowStart: 0, Now: 1}, nil)
	assert.False(t, again.Ramping())
	require.Len(t, d.standard.subset.endpoints, 4)
	assert.Equal(t, config.Unset, d.rules.Balance.Policy)
}

// BenchmarkUpdate: one of 10,000 instances changes its weight, under 29 versions, and
// under 30 declared targets.
func BenchmarkUpdate(b *testing.B) {
	list := mixed(10_000)
	doc := "gray: v1\ndefault: v0\n"
	for i := range list {
		list[i].Metadata["version"] = fmt.Sprint("v", i%29)
	}
	var declared strings.Builder
	declared.WriteString("targets:\n  v0: {version: v0, env: prod}\n")
	for i := range list {
		list[i].Metadata["env"] = "prod"
	}
	for i := range 29 {
		fmt.Fprintf(&declared, "  t%d: {env: prod, version: v%d}\n", i, i)
	}
	for _, tail := range []string{"balance: weighted\n", "balance: least\n", "balance: {hash: user}\n", declared.String()} {
		name, _, _ := strings.Cut(tail, "\n")
		b.Run(name, func(b *testing.B) {
			r := rules(b, doc+tail)
			d := Build(r, nil, snapshot(list...), Options{}, nil)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				list[i%len(list)].Weight ^= 1024
				i++
				d = Build(r, nil, snapshot(list...), Options{}, d)
			}
		})
	}
}
