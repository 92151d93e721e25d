package faults

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
)

// Result is what a run has shown.
type Result struct {
	Fault Fault
	Seed  uint64
	Took  time.Duration
	Void  int // runs before it whose control failed
	// Stalled is how long the load of a consumer stood still, at most, for want of
	// CPU.
	Stalled  time.Duration
	Rows     []Row
	Measures map[string]float64 // see the measures' names
	Notes    []string
}

// Row is what a client has made of a fault. The control phase does not count, but
// in Sends.
type Row struct {
	Client   string
	Requests int
	// Failed counts those of Requests that could have been sent again, Unsafe the
	// others.
	Failed, Unsafe int
	// LastFailure and LastAttempt are when the last request, and the last of all
	// attempts, failed, after the fault began; 0: none did.
	LastFailure, LastAttempt time.Duration
	// Wrong counts answers, of our clients also decisions, of another version than
	// the rules say.
	Wrong int
	// Late counts attempts of ours by rules or lists that were too old.
	Late int
	// Sends is how often a request arrived at providers, on average.
	Sends float64
	// Doubled counts those that arrived twice and must not.
	Doubled int
	// Errors are some of what callers saw, and Convictions some of what was wrong.
	Errors, Convictions []string
	// Evidence says how some of Failed went, attempt by attempt.
	Evidence []string
}

// Share of requests that failed, 0 to 1.
func (r *Row) Share() float64 { return float64(r.Failed+r.Unsafe) / float64(max(1, r.Requests)) }

// verdict judges the logs.
func (r *run) verdict() (*Result, error) {
	r.logs = map[string][]judge.Attempt{}
	sent, err := r.sent()
	if err != nil {
		return nil, err
	}
	result := &Result{Fault: r.Fault, Seed: r.seed}
	for _, c := range r.consumers {
		log, err := c.log()
		if err != nil {
			return nil, err
		}
		r.logs[c.Client] = log
		row := r.row(c.Client, log)
		row.count(log, sent)
		if isOurs(c.Client) && !r.split {
			if err := r.court(&row, log); err != nil {
				return nil, err
			}
		}
		result.Rows = append(result.Rows, row)
	}
	if r.after != nil {
		r.after(r)
	}
	result.Measures, result.Notes, result.Took, result.Stalled = r.measures, r.notes, time.Since(r.began), r.stalled
	return result, nil
}

// row sums up what callers saw since the fault began.
func (r *run) row(client string, log []judge.Attempt) Row {
	row := Row{Client: client}
	errs := map[string]int{}
	for i := range log {
		a := &log[i]
		if a.End < r.injected {
			continue
		}
		after := time.Duration(a.End - r.injected)
		if a.Error != "" {
			row.LastAttempt = max(row.LastAttempt, after)
		}
		switch {
		case r.split && isOurs(client) && inconsistent(a), !isOurs(client) && r.wrong(a):
			row.Wrong++
		}
		if !a.Last {
			continue
		}
		row.Requests++
		if a.Error == "" {
			continue
		}
		errs[abridged(a.Error)]++
		row.LastFailure = max(row.LastFailure, after)
		if unsafe(a) {
			row.Unsafe++
		} else {
			row.Failed++
		}
	}
	row.Evidence = evidence(log, r.injected)
	for text, n := range errs {
		row.Errors = append(row.Errors, fmt.Sprintf("%d times: %s", n, text))
	}
	slices.SortFunc(row.Errors, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	row.Errors = row.Errors[:min(len(row.Errors), 4)]
	return row
}

// mostEvidence is how many failed requests are told of at length.
const mostEvidence = 3

// evidence tells what became of requests that failed and could have been sent again.
func evidence(log []judge.Attempt, from int64) []string {
	attempts := map[string]string{}
	for i := range log {
		a := &log[i]
		if a.Last && a.Error != "" && a.End >= from && !unsafe(a) && len(attempts) < mostEvidence {
			attempts[a.ID] = ""
		}
	}
	for i := range log {
		a := &log[i]
		if text, ok := attempts[a.ID]; ok {
			attempts[a.ID] = text + fmt.Sprintf("; attempt %d at %s, list %d, after %s: %q",
				a.Number, a.Addr, a.List, time.Duration(a.End-a.Begin), a.Error)
		}
	}
	out := make([]string, 0, len(attempts))
	for _, id := range slices.Sorted(maps.Keys(attempts)) {
		out = append(out, id+attempts[id])
	}
	return out
}

// unsafe reports whether a request must not be sent twice. gRPC calls may be: the
// clients are told so.
func unsafe(a *judge.Attempt) bool { return a.Protocol == "http" && a.Method == http.MethodPost }

// wrong reports whether an answer is of another version than was asked for, though
// there was one to ask.
func (r *run) wrong(a *judge.Attempt) bool {
	want := cmp.Or(a.Headers[lane.HeaderVersion], "v1")
	return a.Error == "" && a.Version != want && slices.ContainsFunc(r.facts.Instances, func(in judge.Instance) bool {
		return in.Service == a.Service && in.Version == want && in.From <= a.Begin && (in.Until == 0 || in.Until > a.End)
	})
}

// abridged returns what an error says without the request's address.
func abridged(text string) string {
	if _, rest, ok := strings.Cut(text, `": `); ok {
		text = rest
	}
	return text[:min(len(text), 160)]
}

// count says how often the requests arrived.
func (r *Row) count(log []judge.Attempt, sent map[string]int) {
	requests, arrived := 0, 0
	for i := range log {
		if a := &log[i]; a.Last {
			requests++
			arrived += sent[a.ID]
			if unsafe(a) && sent[a.ID] > 1 {
				r.Doubled++
			}
		}
	}
	r.Sends = float64(arrived) / float64(max(1, requests))
}

// Sittings of the court. It compares each attempt with each document: it is given
// those of a while.
const (
	sitting    = 20 * time.Second
	remembered = 60 * time.Second
)

// court holds our clients' decisions against the rules.
func (r *run) court(row *Row, log []judge.Attempt) error {
	sittings := map[int64][]judge.Attempt{}
	for i := range log {
		at := log[i].Begin / int64(sitting) // the same for all attempts of a request
		sittings[at] = append(sittings[at], log[i])
	}
	for at, attempts := range sittings {
		report, err := judge.Judge(r.since(at*int64(sitting)-int64(remembered)), attempts)
		if err != nil {
			return err
		}
		row.Wrong += report.Misrouted
		row.Late += report.Late
		row.Convictions = append(row.Convictions, report.Convictions(3)...)
	}
	row.Convictions = row.Convictions[:min(len(row.Convictions), 3)]
	return nil
}

// since returns the facts without the documents that others replaced before then:
// who still follows one of them follows a document that the court does not know.
func (r *run) since(then int64) judge.Facts {
	facts := r.facts
	facts.Publications = nil
	for i, p := range r.facts.Publications {
		replaced := slices.ContainsFunc(r.facts.Publications[i+1:], func(later judge.Publication) bool {
			return later.Service == p.Service && !later.Refused && later.Answered < then
		})
		if !replaced {
			facts.Publications = append(facts.Publications, p)
		}
	}
	return facts
}
