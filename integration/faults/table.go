package faults

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Table writes the results of the runs of one fault as Markdown, and what they
// miss of the goal: nothing, if it is met.
func Table(w io.Writer, results []*Result, goal Goal) {
	if len(results) == 0 {
		return
	}
	f := results[0].Fault
	void, seeds := 0, make([]string, len(results))
	for i, r := range results {
		void += r.Void
		seeds[i] = strconv.FormatUint(r.Seed, 10)
	}
	fmt.Fprintf(w, "### %s: %s\n\n", f.ID, f.Title)
	fmt.Fprintf(w, "%d runs (seeds %s) and %d void ones; deadline %s; instances %s.\n\n",
		len(results), strings.Join(seeds, ", "), void, f.Deadline, strings.Join(f.Versions, " "))
	fmt.Fprintln(w, "| client | requests | failed | of them unsafe to send again | share | last failed request | last failed attempt | wrong version | sends a request | sent twice, wrongly |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for i := range results[0].Rows {
		var rows []*Row
		for _, r := range results {
			rows = append(rows, &r.Rows[i])
		}
		line(w, rows)
	}
	fmt.Fprintln(w)
	for _, what := range slices.Sorted(maps.Keys(results[0].Measures)) {
		var values []string
		for _, r := range results {
			values = append(values, measured(r.Measures[what]))
		}
		fmt.Fprintf(w, "- %s: %s\n", what, strings.Join(values, ", "))
	}
	for i, r := range results {
		if r.Stalled > 0 {
			fmt.Fprintf(w, "- run %d: for want of CPU the load of a client stood still for %s\n", i+1, r.Stalled.Round(time.Millisecond))
		}
		for _, missed := range goal.Missed(r) {
			fmt.Fprintf(w, "- run %d MISSED: %s\n", i+1, missed)
		}
	}
	fmt.Fprintln(w)
}

// line writes what a client made of all runs: sums, and the latest of times. Where
// there are several runs and a failure, the failures of each stand behind their sum.
func line(w io.Writer, rows []*Row) {
	sum, failed := Row{Client: rows[0].Client}, make([]string, len(rows))
	for i, r := range rows {
		sum.Requests += r.Requests
		sum.Failed += r.Failed
		sum.Unsafe += r.Unsafe
		sum.Wrong += r.Wrong
		sum.Doubled += r.Doubled
		sum.LastFailure = max(sum.LastFailure, r.LastFailure)
		sum.LastAttempt = max(sum.LastAttempt, r.LastAttempt)
		sum.Sends += r.Sends / float64(len(rows))
		failed[i] = strconv.Itoa(r.Failed + r.Unsafe)
	}
	all := strconv.Itoa(sum.Failed + sum.Unsafe)
	if len(rows) > 1 && sum.Failed+sum.Unsafe > 0 {
		all += " (" + strings.Join(failed, ", ") + ")"
	}
	fmt.Fprintf(w, "| %s | %d | %s | %d | %.2f %% | %s | %s | %d | %.3f | %d |\n", sum.Client, sum.Requests, all, sum.Unsafe,
		100*sum.Share(), ago(sum.LastFailure), ago(sum.LastAttempt), sum.Wrong, sum.Sends, sum.Doubled)
}

func ago(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return d.Round(time.Millisecond).String()
}

func measured(v float64) string {
	if math.IsInf(v, 1) {
		return "never"
	}
	return fmt.Sprintf("%.2f", v)
}

// Figures returns a line for each client, and each measure.
func (r *Result) Figures() []string {
	var out []string
	for i := range r.Rows {
		row := &r.Rows[i]
		text := fmt.Sprintf("%s: %s: %d requests, %d failed (%.2f %%; %d unsafe to send again), last after %s, last failed attempt after %s, %d of a wrong version, %.3f sends a request",
			r.Fault.ID, row.Client, row.Requests, row.Failed+row.Unsafe, 100*row.Share(), row.Unsafe,
			ago(row.LastFailure), ago(row.LastAttempt), row.Wrong, row.Sends)
		if row.Late > 0 {
			text += fmt.Sprintf(", %d attempts by an old list", row.Late)
		}
		out = append(out, text)
	}
	if r.Stalled > 0 {
		out = append(out, fmt.Sprintf("%s: for want of CPU the load of a client stood still for %s", r.Fault.ID, r.Stalled.Round(time.Millisecond)))
	}
	for _, what := range slices.Sorted(maps.Keys(r.Measures)) {
		out = append(out, fmt.Sprintf("%s: %s: %s", r.Fault.ID, what, measured(r.Measures[what])))
	}
	return out
}
