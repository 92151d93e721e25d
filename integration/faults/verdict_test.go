package faults

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
)

// attempt of a request that ended d after the fault, in the log of a rival.
func attempt(id, method, asked, version, err string, d time.Duration) judge.Attempt {
	a := judge.Attempt{Last: true, Number: 1, Version: version, Error: err, Begin: 1, Start: 1, End: int64(d) + 1000}
	a.Request = judge.Request{ID: id, Protocol: "http", Service: "s", Method: method, Headers: map[string]string{}}
	if asked != "" {
		a.Headers[lane.HeaderVersion] = asked
	}
	return a
}

func TestARowCountsWhatCallersSaw(t *testing.T) {
	r := &run{injected: 1000}
	r.facts.Instances = []judge.Instance{{Service: "s", Version: "v1"}, {Service: "s", Version: "v2", Until: 500}}
	first := attempt("d", http.MethodGet, "", "", "refused", 9*time.Second) // and then it was answered
	first.Last = false
	log := []judge.Attempt{
		attempt("a", http.MethodGet, "", "v1", "", -1), // before the fault
		attempt("b", http.MethodGet, "", "", "refused", time.Second),
		attempt("c", http.MethodPost, "", "", "refused", 2*time.Second),
		first, attempt("d", http.MethodGet, "", "v1", "", 10*time.Second),
		attempt("e", http.MethodGet, "", "v2", "", time.Second),   // asked for v1
		attempt("f", http.MethodGet, "v2", "v1", "", time.Second), // there is no v2
	}
	row := r.row(Naive, log)
	row.count(log, map[string]int{"a": 1, "c": 2, "d": 2, "e": 1})
	assert.Equal(t, 5, row.Requests)
	assert.Equal(t, 1, row.Failed)
	assert.Equal(t, 1, row.Unsafe)
	assert.Equal(t, 2*time.Second, row.LastFailure)
	assert.Equal(t, 9*time.Second, row.LastAttempt)
	assert.Equal(t, 1, row.Wrong)
	assert.Equal(t, 1, row.Doubled)
	assert.InDelta(t, 1, row.Sends, 1e-9)
	assert.InDelta(t, 0.4, row.Share(), 1e-9)
	assert.Equal(t, []string{"2 times: refused"}, row.Errors)
}

func TestTheCourtForgetsReplacedDocuments(t *testing.T) {
	r := &run{}
	for i, service := range []string{"a", "b", "a", "a", "b"} {
		r.facts.Publications = append(r.facts.Publications, judge.Publication{Service: service, Text: string(rune('0' + i)), Answered: int64(10 * i)})
	}
	var texts []string
	for _, p := range r.since(25).Publications {
		texts = append(texts, p.Text)
	}
	assert.Equal(t, []string{"1", "2", "3", "4"}, texts, "the first of a was replaced at 20")
	assert.Len(t, r.facts.Publications, 5)
}

func TestASplitIsHeldAgainstItself(t *testing.T) {
	r := &run{Fault: Fault{split: true}}
	right, wrong, fallback := judge.Attempt{Target: "v2", Version: "v2"}, judge.Attempt{Target: "v2", Version: "v1"},
		judge.Attempt{Target: "v2", Fallback: "default", Version: "v1"}
	assert.Equal(t, 1, r.wrongs(right, wrong, fallback))
}

func (r *run) wrongs(log ...judge.Attempt) int { row := r.row(OursHTTP, log); return row.Wrong }

func TestGoalsAreMissed(t *testing.T) {
	met := func() *Result {
		return &Result{
			Rows:     []Row{{Client: OursHTTP, Requests: 100, Sends: 1}, {Client: GRPCRetry, Requests: 100, Failed: 10, LastAttempt: time.Second}},
			Measures: map[string]float64{"m": 1, "n": 1},
		}
	}
	goal := Goal{
		Unsafe: 1, ShareOf: GRPCRetry, AttemptOf: GRPCRetry, Times: 0.5,
		Most: map[string]float64{"m": 1}, Least: map[string]float64{"n": 1},
	}
	assert.Empty(t, goal.Missed(met()))
	for what, spoil := range map[string]func(*Result){
		"1 failed":                func(r *Result) { r.Rows[0].Failed = 1 },
		"2 failed that must not":  func(r *Result) { r.Rows[0].Unsafe = 2 },
		"the wrong version":       func(r *Result) { r.Rows[0].Wrong = 1 },
		"sent twice":              func(r *Result) { r.Rows[0].Doubled = 1 },
		"1.200 times":             func(r *Result) { r.Rows[0].Sends = 1.2 },
		"% failed, of grpc-go":    func(r *Result) { r.Rows[1].Failed = 1; r.Rows[0].Unsafe = 1 },
		"the last attempt failed": func(r *Result) { r.Rows[0].LastAttempt = 600 * time.Millisecond },
		"m: +Inf":                 func(r *Result) { r.Measures["m"] = math.Inf(1) },
		"m: 0.00, at most 1.00":   func(r *Result) { delete(r.Measures, "m") },
		"n: 0.50, at least 1.00":  func(r *Result) { r.Measures["n"] = 0.5 },
	} {
		r := met()
		spoil(r)
		assert.Contains(t, strings.Join(goal.Missed(r), "\n"), what)
	}
}

func TestEveryFaultHasAGoal(t *testing.T) {
	goals := Goals(Short())
	for _, f := range Faults() {
		assert.Contains(t, goals, f.ID)
		delete(goals, f.ID)
	}
	assert.Empty(t, goals, "goals without a fault")
}

func TestTheTableSumsUpRuns(t *testing.T) {
	row := func(failed int, last time.Duration) []Row {
		return []Row{{Client: OursHTTP, Requests: 100, Failed: failed, LastFailure: last, Sends: 1}}
	}
	var out strings.Builder
	Table(&out, []*Result{
		{Fault: Fault{ID: "F0", Title: "nothing"}, Seed: 1, Void: 1, Rows: row(0, 0), Measures: map[string]float64{"m": 1}},
		{Fault: Fault{ID: "F0", Title: "nothing"}, Seed: 2, Rows: row(3, time.Second), Measures: map[string]float64{"m": math.Inf(1)}},
	}, Goal{Failed: 2})
	text := out.String()
	assert.Contains(t, text, "2 runs (seeds 1, 2) and 1 void ones")
	assert.Contains(t, text, "| graylane-http | 200 | 3 (0, 3) | 0 | 1.50 % | 1s |")
	assert.Contains(t, text, "- m: 1.00, never\n")
	assert.Contains(t, text, "run 2 MISSED: graylane-http: 3 failed")
	assert.NotContains(t, text, "run 1 MISSED")
}
