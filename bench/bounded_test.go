package bench

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

const boundedTable = "Load by key: requests in flight, keys by Zipf's law, in virtual time"

// overload is how much more than its share an instance may have in flight.
const overload = 1.25

// No instance has more in flight than 1.25 times its share by weight, however hot its
// keys are.
func TestBoundedLoad(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []instance
	}{
		{"equal weights", equal(50)},
		{"weights 1 to 4", light(50)},
	} {
		for _, p := range boundedPeers {
			if p.equal && c.name != "equal weights" {
				continue
			}
			t.Run(c.name+"/"+p.name, func(t *testing.T) {
				r := simulateKeys(c.in, owed(p.name, c.in), p.build(t, c.in))
				report(t, row{
					Table: boundedTable,
					Columns: []string{
						"", "50 instances", "most in flight, against the mean for its weight", "requests that exceeded the bound", "most, against the bound",
						"requests not at the owner of their key",
					},
					Cells: []string{
						p.name, c.name, fmt.Sprintf("%.2f", r.skew), percent(float64(r.exceeded) / float64(r.requests)),
						fmt.Sprintf("%.2f", r.overBound), percent(float64(r.spilled) / float64(r.requests)),
					},
					Values: map[string]float64{"bounded/over/" + p.name + "/" + c.name: r.overBound},
				})
				if p.name == "ours" {
					assert.Zero(t, r.exceeded, "of %d requests; the most is %.2f times the bound", r.requests, r.overBound)
				}
			})
		}
	}
}

// boundedPeers keep no count of requests, but for ours.
var boundedPeers = []peer[loadedByKey]{
	{name: "ours", build: oursBounded},
	{name: "buraksezer", build: unbounded(buraksezer), equal: true},
	{name: "polaris-maglev", build: unbounded(polarisMaglev)},
	{name: "polaris-ringHash", build: unbounded(polarisRingHash)},
	{name: "grpc-ring_hash", build: unbounded(grpcRingHash)},
	{name: "kitex-consist", build: unbounded(kitexConsist)},
}

func unbounded(build func(testing.TB, []instance) keyed) func(testing.TB, []instance) loadedByKey {
	return func(tb testing.TB, in []instance) loadedByKey {
		tb.Helper()
		k := build(tb, in)
		return func(key string) (int, func()) { return k.owner(key), func() {} }
	}
}

// light returns n instances of weights from 1 to 4.
func light(n int) []instance {
	out := equal(n)
	for i := range out {
		out[i].weight = float64(1 + i%4)
	}
	return out
}

// flight is a request of a simulation.
type flight struct {
	end   float64
	index int
	done  func()
}

// inFlight is a heap of them, by their end.
type inFlight []flight //nolint:recvcheck // as in the example of container/heap

func (q inFlight) Len() int           { return len(q) }
func (q inFlight) Less(i, j int) bool { return q[i].end < q[j].end }
func (q inFlight) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *inFlight) Push(x any)        { *q = append(*q, x.(flight)) }

func (q *inFlight) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// keyResult is what a simulation saw when a request came.
type keyResult struct {
	requests, exceeded, spilled int
	skew, overBound             float64
}

// simulateKeys sends requests at random times, each for a second on the mean, so that
// an instance of the mean weight has twenty of them, and looks at each whether it goes
// beyond the bound of its instance.
func simulateKeys(in []instance, weights []float64, pick loadedByKey) (r keyResult) {
	const perInstance, requests = 20, 60_000
	rng := rand.New(rand.NewPCG(6, 25))
	hot := keys(100_000)
	zipf := rand.NewZipf(rng, 1.1, 1, uint64(len(hot)-1))
	var total float64
	for _, w := range weights {
		total += w
	}
	owners := map[string]int{}
	counts, now := make([]int, len(in)), 0.0
	var queue inFlight
	for range requests {
		now += rng.ExpFloat64() / float64(perInstance*len(in))
		for len(queue) > 0 && queue[0].end <= now {
			ended := heap.Pop(&queue).(flight)
			ended.done()
			counts[ended.index]--
		}
		key := hot[zipf.Uint64()]
		i, done := pick(key)
		counts[i]++
		heap.Push(&queue, flight{now + rng.ExpFloat64(), i, done})
		if _, ok := owners[key]; !ok {
			owners[key] = i // it was the first of its key, and nearly always at its owner
		}
		if len(queue) < 8*len(in) {
			continue // the mean is below eight, as at the start
		}
		r.requests++
		share := float64(len(queue)) * weights[i] / total
		r.skew = max(r.skew, float64(counts[i])/share)
		bound := math.Ceil(overload * share)
		r.overBound = max(r.overBound, float64(counts[i])/bound)
		if float64(counts[i]) > bound {
			r.exceeded++
		}
		if owners[key] != i {
			r.spilled++
		}
	}
	return r
}
