package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// instance is one endpoint, as every peer is told of it.
type instance struct {
	host    string
	port    int
	weight  float64 // in steps of a thousandth; peers that count in whole numbers get it rounded
	version string
}

func (in instance) addr() string { return in.host + ":" + strconv.Itoa(in.port) }

// whole is the weight for peers that take whole numbers.
func (in instance) whole() int { return max(1, int(math.Round(in.weight))) }

// mixed returns n instances of weights from 1 to 100, with fractions. They are the
// same in every process, so that every peer and every run gets the same list.
func mixed(n int) []instance {
	rng := rand.New(rand.NewPCG(6, uint64(n)))
	out := equal(n)
	for i := range out {
		out[i].weight = math.Round((1+99*rng.Float64())*1000) / 1000
	}
	out[n/3].weight, out[2*n/3].weight = 1, 100
	return out
}

// equal returns n instances of weight 1.
func equal(n int) []instance {
	out := make([]instance, n)
	for i := range out {
		out[i] = instance{host: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), port: 8080, weight: 1, version: "v1"}
	}
	return out
}

// versions spreads the instances over the versions v0 to v(k-1).
func versions(in []instance, k int) []instance {
	for i := range in {
		in[i].version = "v" + strconv.Itoa(i%k)
	}
	return in
}

// byAddr finds an instance's index in its list.
func byAddr(in []instance) map[string]int {
	m := make(map[string]int, len(in))
	for i := range in {
		m[in[i].addr()] = i
	}
	return m
}

// hotKeys is how many keys a benchmark goes through: a power of two, few enough to
// stay in the caches.
const hotKeys = 1024

// keys returns n keys of 16 bytes, the same in every process.
func keys(n int) []string {
	rng := rand.New(rand.NewPCG(16, 0))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%016x", rng.Uint64())
	}
	return out
}

// row is one line of a table of the page, and the numbers that goals are about.
type row struct {
	Table   string             `json:"table"`
	Columns []string           `json:"columns"`
	Cells   []string           `json:"cells"`
	Values  map[string]float64 `json:"values,omitempty"`
}

// report hands a row to cmd/table, which reads it from the test's output.
func report(t *testing.T, r row) {
	t.Helper()
	require.Len(t, r.Cells, len(r.Columns))
	text, err := json.Marshal(r)
	require.NoError(t, err)
	t.Attr("row", string(text))
}

// sizes are the lengths of lists that a benchmark goes through.
func sizes() []int {
	if testing.Short() {
		return []int{10, 1000}
	}
	return []int{10, 100, 1000, 10_000}
}

// cores are the numbers of cores that a parallel benchmark goes through.
func cores() []int {
	switch n := runtime.NumCPU(); n {
	case 1:
		return []int{1}
	case 2:
		return []int{1, 2}
	default:
		return []int{1, 2, n}
	}
}

// inTurn returns peers in their order or, for every second repetition of cmd/table, in
// the reverse: to be the first of a process, or the last, is no advantage then.
func inTurn[T any](peers []T) []T {
	if os.Getenv("BENCH_REVERSE") == "" {
		return peers
	}
	out := slices.Clone(peers)
	slices.Reverse(out)
	return out
}

// cpuTime is what the process has used, on all cores.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sequential measures pick in one goroutine.
func sequential(b *testing.B, pick func()) {
	b.Helper()
	pick()       // some build at their first pick
	runtime.GC() // what was built before is not to be collected during the measurement
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		pick()
	}
	reportCPU(b, before)
}

// reportCPU reports the CPU time of each operation. Where it is much less than the
// time, somebody else had the cores.
func reportCPU(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// parallel measures pick on a number of cores.
func parallel(b *testing.B, n int, pick func()) {
	b.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			pick()
		}
	})
}
