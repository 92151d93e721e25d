package bench

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A subset takes at most 32 bytes for each of its endpoints.
func TestMemoryOfSubsets(t *testing.T) {
	const n = 10_000
	in := equal(n)
	one, many := heapOf(t, in, 1), heapOf(t, in, 1+subsets)
	each := (many - one) / (n * subsets)
	report(t, row{
		Table:   "Memory",
		Columns: []string{"", "bytes an endpoint a subset"},
		Cells:   []string{fmt.Sprintf("%d subsets of %d endpoints each", subsets, n), fmt.Sprintf("%.1f", each)},
		Values:  map[string]float64{"memory/subset": each},
	})
	assert.LessOrEqual(t, each, 32.0)
}

// heapOf is what a director takes whose targets, so many, hold every instance.
func heapOf(t *testing.T, in []instance, targets int) float64 {
	t.Helper()
	var doc strings.Builder
	doc.WriteString("gray: v1\ndefault: t0\ntargets:\n")
	for i := range targets {
		fmt.Fprintf(&doc, "  t%d: {version: v1}\n", i)
	}
	before := heapInUse()
	o := newOurs(t, doc.String(), in)
	after := heapInUse()
	runtime.KeepAlive(o)
	return after - before
}

func heapInUse() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
