package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results is what all repetitions printed.
type results struct {
	cpu     string
	names   []string                        // of the benchmarks, in the order of the first repetition
	samples map[string]map[string][]float64 // by name and unit, in the order of the repetitions
	rows    []row
	values  map[string]float64 // of all rows
}

// row is a line of a table that a test made.
type row struct {
	Table   string             `json:"table"`
	Columns []string           `json:"columns"`
	Cells   []string           `json:"cells"`
	Values  map[string]float64 `json:"values"`
}

func newResults() *results {
	return &results{samples: map[string]map[string][]float64{}, values: map[string]float64{}}
}

// procs is what go test appends to the name of a benchmark.
var procs = regexp.MustCompile(`-\d+$`)

// read reads the output of one run.
func (r *results) read(out string) error {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if cpu, ok := strings.CutPrefix(line, "cpu: "); ok {
			r.cpu = cpu
		}
		if strings.HasPrefix(line, "=== ATTR") {
			if err := r.attribute(line); err != nil {
				return err
			}
		}
		if fields := strings.Fields(line); strings.HasPrefix(line, "Benchmark") && len(fields) >= 4 {
			if err := r.benchmark(fields); err != nil {
				return err
			}
		}
	}
	return nil
}

// attribute reads "=== ATTR  Test row {…}".
func (r *results) attribute(line string) error {
	_, text, ok := strings.Cut(line, " row ")
	if !ok {
		return nil
	}
	var w row
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return fmt.Errorf("a row that cannot be read: %w: %s", err, text)
	}
	r.rows = append(r.rows, w)
	maps.Copy(r.values, w.Values)
	return nil
}

// benchmark reads "BenchmarkPick/ours/N=10-2  1000  8.5 ns/op  0 B/op  0 allocs/op".
func (r *results) benchmark(fields []string) error {
	name := procs.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
	units := r.samples[name]
	if units == nil {
		units = map[string][]float64{}
		r.samples[name] = units
		r.names = append(r.names, name)
	}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return fmt.Errorf("a line that cannot be read: %v", fields)
		}
		units[fields[i+1]] = append(units[fields[i+1]], value)
	}
	return nil
}

// Units of samples.
const (
	perOp    = "ns/op"
	allocs   = "allocs/op"
	memory   = "B/op"
	cpu      = "cpu-ms"    // of a start
	cpuPerOp = "cpu-ns/op" // of a request
)

// of returns the samples of a benchmark in a unit.
func (r *results) of(name, unit string) figures { return r.samples[name][unit] }

// disturbance is the time over the CPU time, of what runs in one goroutine and
// allocates nothing: 1 on a machine that does nothing else.
func (r *results) disturbance() (all figures) {
	for _, name := range r.names {
		if !strings.HasPrefix(name, "Request") && r.of(name, allocs).median() == 0 {
			all = append(all, r.of(name, perOp).over(r.of(name, cpuPerOp))...)
		}
	}
	return all
}

// figures are samples of the same thing.
type figures []float64

func (f figures) known() bool { return len(f) > 0 }

// median returns the middle, 0 if there is none.
func (f figures) median() float64 {
	if len(f) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread is half the distance of the largest and the smallest, as a share of the
// median.
func (f figures) spread() float64 {
	if len(f) < 2 || f.median() == 0 {
		return 0
	}
	return (slices.Max(f) - slices.Min(f)) / 2 / f.median()
}

// quartile returns what a quarter is above.
func (f figures) quartile() float64 { return slices.Sorted(slices.Values(f))[len(f)*3/4] }

// over returns f/o, repetition by repetition: what slowed one of them down, slowed
// both.
func (f figures) over(o figures) figures {
	return f.with(o, func(a, b float64) float64 { return a / b })
}

// less returns f-o, repetition by repetition.
func (f figures) less(o figures) figures {
	return f.with(o, func(a, b float64) float64 { return a - b })
}

func (f figures) with(o figures, join func(a, b float64) float64) figures {
	out := make(figures, 0, min(len(f), len(o)))
	for i := range min(len(f), len(o)) {
		out = append(out, join(f[i], o[i]))
	}
	return out
}
