package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// repetition is what a run prints, shortened.
const repetition = `goos: linux
cpu: a machine
=== RUN   TestWeightedQuality
=== ATTR  TestWeightedQuality/ours row {"table":"Exactness","columns":["","worst"],"cells":["ours","2.1"],"values":{"quality/worst/ours":2.1}}
BenchmarkPick/ours/N=10-2         	 1000	        10.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkPick/kitex-iwrr/N=10-2   	 1000	        20.0 ns/op	       8 B/op	       1 allocs/op
BenchmarkReady/ours/N=1000-2      	    1	  5000000 ns/op	         6.5 cpu-ms
BenchmarkRequestHTTP/ours         	    1	    30000 ns/op	     50000 cpu-ns/op
PASS
`

func read(t *testing.T, runs ...string) *results {
	t.Helper()
	r := newResults()
	for _, out := range runs {
		require.NoError(t, r.read(out))
	}
	return r
}

func TestRunsAreRead(t *testing.T) {
	r := read(t, repetition, "BenchmarkPick/ours/N=10-2 1000 30.0 ns/op 0 B/op 0 allocs/op\n")
	assert.Equal(t, "a machine", r.cpu)
	assert.Equal(t, []string{"Pick/ours/N=10", "Pick/kitex-iwrr/N=10", "Ready/ours/N=1000", "RequestHTTP/ours"}, r.names)
	assert.Equal(t, figures{10, 30}, r.of("Pick/ours/N=10", perOp))
	assert.Equal(t, figures{1}, r.of("Pick/kitex-iwrr/N=10", allocs))
	assert.Equal(t, figures{6.5}, r.of("Ready/ours/N=1000", cpu))
	assert.Equal(t, map[string]float64{"quality/worst/ours": 2.1}, r.values)
	require.Error(t, newResults().read("BenchmarkPick-2 1000 x ns/op\n"))
	require.Error(t, newResults().read("=== ATTR  Test row {\n"))
}

func TestFigures(t *testing.T) {
	assert.InDelta(t, 3, figures{5, 1, 3}.median(), 1e-9)
	assert.InDelta(t, 2, figures{3, 1}.median(), 1e-9)
	assert.Zero(t, figures{}.median())
	assert.InDelta(t, 1.0, figures{1, 2, 5}.spread(), 1e-9)
	assert.Equal(t, figures{2, 3}, figures{4, 9, 1}.over(figures{2, 3}), "repetition by repetition")
	for ns, text := range map[float64]string{
		0: "0 ns", 0.514: "0.51 ns", 8.512: "8.51 ns", 85.12: "85.1 ns", 851.2: "851 ns", 8512: "8.51 µs", 18e6: "18.0 ms", 2e9: "2.00 s",
	} {
		assert.Equal(t, text, duration(ns))
	}
}

func TestPage(t *testing.T) {
	p := &page{results: read(t, repetition), options: &options{count: 1, only: "."}, versions: []string{"example.com/m v1.2.3"}}
	text := p.markdown()
	for _, line := range []string{
		"| example.com/m | v1.2.3 |",
		"| kitex-iwrr | 20.0 ns (2.00×) | – | 1 | 8 |",
		"| ours | 6.50 ms of CPU | – | – | – |",
		"| ours | 30.0 µs, 50.0 µs of CPU | – | – | – |",
		"| worst error of an endpoint, N = 100, 10,000 picks | ≤ 3 | 2.1 | met |",
		"| flat from N = 10 to 10,000 | within 1.3× | – | not measured |",
		"### Exactness\n\n|  | worst |\n|---|---|\n| ours | 2.1 |",
	} {
		assert.Contains(t, text, line+"\n")
	}
}

// A goal that names a benchmark wrongly would never be measured.
func TestGoalsAreJudged(t *testing.T) {
	r := read(t, repetition)
	for _, g := range goals() {
		for _, name := range g.needs {
			r.samples[name] = map[string][]float64{
				perOp: {1, 2}, allocs: {0, 0}, memory: {1, 1}, cpu: {1, 1}, cpuPerOp: {1, 1},
			}
			r.values[name] = 0
		}
		text, status := g.status(r)
		assert.NotEqual(t, "not measured", status, g.what)
		assert.NotEmpty(t, text, g.what)
	}
}
