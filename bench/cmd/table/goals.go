package main

import (
	"fmt"
	"slices"
	"strings"
)

// goal is one line of what was to be shown.
type goal struct {
	what, want string
	// measured says what came out and whether it is good enough. It is asked only if
	// all of the benchmarks and values that it needs are there.
	measured func(*results) (text string, met bool)
	needs    []string
}

// status is "met", "**not met**" or "not measured".
func (g *goal) status(r *results) (text, status string) {
	for _, name := range g.needs {
		_, value := r.values[name]
		if !value && !r.of(name, perOp).known() {
			return "–", "not measured"
		}
	}
	text, met := g.measured(r)
	if met {
		return text, "met"
	}
	return text, "**not met**"
}

// The lists and the counts of cores of the goals.
func pickSizes() []string { return []string{"N=10", "N=100", "N=1000", "N=10000"} }

// goals are those of the issue that asked for this.
func goals() []goal {
	return slices.Concat(pickGoals(), keyGoals(), pathGoals())
}

func pickGoals() []goal {
	return []goal{
		worstRatio("weighted pick, one core, against kitex iwrr, the worst N", "ours", "kitex-iwrr", 0.65),
		worstRatio("the same, pinned", "ours-pinned", "kitex-iwrr", 0.65),
		worstRatio("the same against kitex alias, Next alone", "ours", "kitex-alias-next", 1),
		worstRatio("the same, pinned", "ours-pinned", "kitex-alias-next", 1),
		nothing("allocations of a weighted pick, N = 1000", "Pick/ours/N=1000"),
		flat("flat from N = 10 to 10,000", "ours", 1.3),
		flat("the same, pinned", "ours-pinned", 1.3),
		ratio("two cores in parallel against one", "< 1×", "PickParallel/ours/cores=2", "PickParallel/ours/cores=1", 1),
		ratio("two cores in parallel against kitex iwrr", "≤ 0.35×", "PickParallel/ours/cores=2", "PickParallel/kitex-iwrr/cores=2", 0.35),
		ratio("the same, pinned", "≤ 0.35×", "PickParallel/ours-pinned/cores=2", "PickParallel/kitex-iwrr/cores=2", 0.35),
		value("worst error of an endpoint, N = 100, 10,000 picks", "≤ 3", "quality/worst/ours", "%.1f", 1, 3),
		value("misplaced with a rebuild every 10 picks", "≤ 0.3 %", "quality/rebuilt/ours", "%.3f %%", 100, 0.3),
		value("memory of an endpoint in a subset", "≤ 32 bytes", "memory/subset", "%.1f bytes", 1, 32),
	}
}

func keyGoals() []goal {
	return []goal{
		within("hash pick by a 16-byte key, N = 1000", "≤ 18 ns", "Hash/ours/N=1000", perOp, 1, 18, "ns"),
		within("the same with bounded load, begin and end included", "≤ 30 ns", "Hash/ours-done/N=1000", perOp, 1, 30, "ns"),
		nothing("allocations of a hash pick", "Hash/ours-done/N=1000"),
		value("keys moved when one leaves, beside its own", "none", "hash/moved/ours", "%.2f %%", 100, 0),
		value("most in flight against ceil(1.25 × share), equal weights", "≤ 1×", "bounded/over/ours/equal weights", "%.2f×", 1, 1),
		value("the same, weights 1 to 4", "≤ 1×", "bounded/over/ours/weights 1 to 4", "%.2f×", 1, 1),
		ratio("least loaded with its end against httplb p2c, clock apart", "≤ 0.7×", "Least/ours/cores=1", "Least/httplb-p2c/cores=1", 0.7),
		ratio("the same, pinned", "≤ 0.7×", "Least/ours-pinned/cores=1", "Least/httplb-p2c/cores=1", 0.7),
		ratio("the same, clock included", "≤ 0.7×", "Least/ours-clock/cores=1", "Least/httplb-p2c/cores=1", 0.7),
		nothing("allocations of least loaded", "Least/ours-clock/cores=1"),
		within("ten rules on one header, subset and pick, N = 1000", "≤ 60 ns", "Filter/ours/N=1000", perOp, 1, 60, "ns"),
		within("the same, pinned", "≤ 60 ns", "Filter/ours-pinned/N=1000", perOp, 1, 60, "ns"),
		ratio("the same against polaris-go", "≤ 0.25×", "Filter/ours/N=1000", "Filter/polaris-dstMeta+weightedRandom/N=1000", 0.25),
		nothing("allocations of that", "Filter/ours/N=1000"),
	}
}

func pathGoals() []goal {
	var out []goal
	for _, u := range []struct{ what, name string }{
		{"30 versions, one of 10,000 weights changes", "ours"},
		{"30 declared targets, one weight changes", "ours-targets"},
		{"30 declared targets, one instance is replaced", "ours-targets-replaced"},
	} {
		name := "Update/" + u.name + "/N=10000"
		out = append(out,
			within("update: "+u.what, "≤ 5 ms", name, perOp, 1e-6, 5, "ms"),
			within("memory of that", "≤ 4 MiB", name, memory, 1.0/(1<<20), 4, "MiB"))
	}
	return append(out,
		goal{
			what: "1,000 gRPC endpoints becoming ready one by one: CPU beyond round_robin's", want: "≤ 50 ms",
			needs: []string{"Ready/ours/N=1000", "Ready/grpc-round_robin/N=1000"},
			measured: func(r *results) (string, bool) {
				d := r.of("Ready/ours/N=1000", cpu).less(r.of("Ready/grpc-round_robin/N=1000", cpu))
				return fmt.Sprintf("%+.0f ms (round_robin: %.0f ms)", d.median(), r.of("Ready/grpc-round_robin/N=1000", cpu).median()), d.median() <= 50
			},
		},
		goal{
			what: "endpoints that our own part of that looks at, each", want: "the same for 250 and 1,000",
			needs: []string{"ready/visits/N=250", "ready/visits/N=1000"},
			measured: func(r *results) (string, bool) {
				few, many := r.values["ready/visits/N=250"], r.values["ready/visits/N=1000"]
				return fmt.Sprintf("%.1f and %.1f times", few, many), many <= 1.1*few
			},
		},
		share("HTTP requests/s by header, 16 workers, as a share of net/http", "≥ 0.95", "RequestHTTP/net-http", "RequestHTTP/ours", 0.95),
		share("unary gRPC calls/s, as a share of round_robin", "≥ 0.97", "RequestGRPC/grpc-round_robin", "RequestGRPC/ours", 0.97),
	)
}

// named returns prefix/each of names.
func named(prefix string, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + "/" + n
	}
	return out
}

// ratio wants a to take at most so many times what b takes.
func ratio(what, want, a, b string, most float64) goal {
	return goal{what, want, func(r *results) (string, bool) {
		q := r.of(a, perOp).over(r.of(b, perOp))
		met := q.median() <= most
		if strings.HasPrefix(want, "<") {
			met = q.median() < most
		}
		return times(q), met
	}, []string{a, b}}
}

// share wants a's time to be at least that share of b's: b does at least so many a
// second as a does.
func share(what, want, a, b string, least float64) goal {
	return goal{what, want, func(r *results) (string, bool) {
		q, used := r.of(a, perOp).over(r.of(b, perOp)), r.of(a, cpuPerOp).over(r.of(b, cpuPerOp))
		return times(q) + "; by CPU time " + times(used), q.median() >= least
	}, []string{a, b}}
}

// flat wants a pick to take the same for every N, within so many times.
func flat(what, mine string, most float64) goal {
	return goal{what, fmt.Sprintf("within %v×", most), func(r *results) (string, bool) {
		var medians []float64
		for _, n := range pickSizes() {
			medians = append(medians, r.of("Pick/"+mine+"/"+n, perOp).median())
		}
		q := slices.Max(medians) / slices.Min(medians)
		return fmt.Sprintf("%.2f×", q), q <= most
	}, named("Pick/"+mine, pickSizes()...)}
}

// worstRatio wants a pick of mine to take at most so many times what a peer's takes,
// for every N.
func worstRatio(what, mine, peer string, most float64) goal {
	return goal{what, fmt.Sprintf("≤ %v×", most), func(r *results) (string, bool) {
		var worst figures
		var at string
		for _, n := range pickSizes() {
			q := r.of("Pick/"+mine+"/"+n, perOp).over(r.of("Pick/"+peer+"/"+n, perOp))
			if !worst.known() || q.median() > worst.median() {
				worst, at = q, n
			}
		}
		return times(worst) + " at " + at, worst.median() <= most
	}, slices.Concat(named("Pick/"+mine, pickSizes()...), named("Pick/"+peer, pickSizes()...))}
}

// within wants at most so much of a unit, in units of 1/scale.
func within(what, want, name, unit string, scale, most float64, as string) goal {
	return goal{what, want, func(r *results) (string, bool) {
		f := r.of(name, unit)
		text := digits(f.median()*scale) + " " + as
		if len(f) > 1 {
			text += fmt.Sprintf(" ±%.0f %%", 100*f.spread())
		}
		return text, f.median()*scale <= most
	}, []string{name}}
}

// nothing wants no allocation.
func nothing(what, name string) goal {
	return goal{what, "0", func(r *results) (string, bool) {
		n := r.of(name, allocs).median()
		return fmt.Sprintf("%.0f", n), n == 0
	}, []string{name}}
}

// value wants at most so much of what a test reported.
func value(what, want, name, format string, scale, most float64) goal {
	return goal{what, want, func(r *results) (string, bool) {
		v := r.values[name] * scale
		return fmt.Sprintf(format, v), v <= most
	}, []string{name}}
}

// times is a ratio and, if there are several repetitions, its range.
func times(q figures) string {
	if len(q) < 2 {
		return fmt.Sprintf("%.2f×", q.median())
	}
	return fmt.Sprintf("%.2f× (%.2f–%.2f)", q.median(), slices.Min(q), slices.Max(q))
}
