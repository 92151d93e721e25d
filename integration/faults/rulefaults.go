package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/judge"
)

// ruleFaults happen to rules, or are answered by them.
func ruleFaults() []Fault {
	f30 := newFault("F30", "bad documents: syntax, an unknown field, an unknown target", badRules)
	f30.OursOnly = true
	f37 := newFault("F37", "the default flips between v1 and v2, twice a second", flips)
	f37.OursOnly, f37.after = true, flipTimes
	guard := newFault("guard", "v2, at 20 %, answers 503 to half of its requests; 20 consumers", trip)
	guard.Rules, guard.V2, guard.Copies, guard.Requests = guarded, 0, 20, 400 // 20 each
	guard.OursOnly, guard.split, guard.after = true, true, guardShares
	return []Fault{f30, f37, guard}
}

// refusedWithin is the measure of a bad document.
const refusedWithin = "seconds from a bad document's publication until all of our clients have refused it"

func badRules(ctx context.Context, r *run) error {
	good := r.revision()
	for _, bad := range []string{
		"gray: v1\ndefault: [v1\n",
		strings.Replace(byHeader, "default:", "defualt: v2\ndefault:", 1),
		"gray: v1\ndefault: v2\ntargets: {v1: {version: v1}}\n",
	} {
		if err := r.publish(ctx, bad, true); err != nil {
			return err
		}
		last := r.facts.Publications[len(r.facts.Publications)-1]
		err := r.takes(ctx, refusedWithin, last.Answered, func() error {
			return r.ours(ctx, func(s *state) error {
				if !slices.ContainsFunc(s.Events, func(e event) bool { return e.Text == "document refused "+last.Revision() }) {
					return fmt.Errorf("no refusal of %s", last.Revision())
				}
				return s.follows(len(r.Versions), good)
			})
		})
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// Measures of flips.
const (
	flipMedian = "seconds from a flip's publication until the first request under it, p50"
	flipWorst  = "seconds from a flip's publication until the first request under it, p99"
)

func flips(ctx context.Context, r *run) error {
	for i := range r.Flips {
		text := fmt.Sprintf("%s# flip %d\n", strings.Replace(byHeader, "default: v1", "default: "+[]string{"v2", "v1"}[i%2], 1), i)
		if err := r.publish(ctx, text, false); err != nil {
			return err
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// flipTimes measures when our clients followed the flips. One that a later flip
// overtook counts as far as it was followed.
func flipTimes(r *run) {
	var times []float64
	for _, p := range r.facts.Publications {
		for _, client := range Ours() {
			if p.Sent < r.injected {
				continue
			}
			if took, ok := p.Followed(r.logs[client]); ok {
				times = append(times, took.Seconds())
			}
		}
	}
	slices.Sort(times)
	if len(times) == 0 {
		return
	}
	r.measures[flipMedian], r.measures[flipWorst] = times[len(times)/2], times[(len(times)-1)*99/100]
	r.notes = append(r.notes, fmt.Sprintf("%d of %d flips were followed, counted at each client and service",
		len(times), 2*r.Flips))
}

const guarded = `gray: v1
default: v1
rules:
- {name: twenty, to: {v2: 20%}}
guard: {errors: 20%, over: 5s, min: 5, hold: 10s}
`

// Measures of the guard.
const (
	alarmWithin   = "seconds until every copy has reported that v2 is withdrawn"
	shareTripped  = "percent of requests that v2 got from 5 s after the fault until its end"
	shareReturned = "percent of requests that v2 got at the end, recovered"
)

const (
	// guardTrouble is how long v2 fails: less than the document's hold, so that
	// nobody tries it before it has recovered.
	guardTrouble = 9 * time.Second
	// guardTail is how long the end of the run is over which the share is measured.
	guardTail = 5 * time.Second
)

func trip(ctx context.Context, r *run) error {
	for i, version := range r.Versions {
		if version == "v2" {
			if err := r.providers[i].behave(ctx, behaviour{Fail: 0.5}); err != nil {
				return err
			}
		}
	}
	if err := r.takes(ctx, alarmWithin, r.injected, func() error {
		return r.ours(ctx, func(s *state) error {
			withdrawn := 0
			for _, e := range s.Events {
				if strings.HasPrefix(e.Text, "target withdrawn") && strings.Contains(e.Text, "v2") {
					withdrawn++
				}
			}
			if withdrawn < r.Copies {
				return fmt.Errorf("%d of %d copies have withdrawn v2", withdrawn, r.Copies)
			}
			return nil
		})
	}); err != nil {
		return err
	}
	if err := pause(ctx, guardTrouble-r.sinceInjected()); err != nil {
		return err
	}
	for i, version := range r.Versions {
		if version == "v2" {
			if err := r.providers[i].behave(ctx, behaviour{}); err != nil {
				return err
			}
		}
	}
	r.healed = r.now()
	return pause(ctx, 3*guardTail)
}

func guardShares(r *run) {
	share := func(from, until int64) float64 {
		all, v2 := 0, 0
		for _, client := range Ours() {
			for _, a := range r.logs[client] {
				if a.Last && from <= a.Begin && a.Begin < until {
					all++
					if a.Target == "v2" && a.Fallback == "" {
						v2++
					}
				}
			}
		}
		return 100 * float64(v2) / float64(max(1, all))
	}
	r.measures[shareTripped] = share(r.injected+int64(5*time.Second), r.healed)
	r.measures[shareReturned] = share(r.healed+int64(2*guardTail), r.now())
}

// inconsistent says how an attempt contradicts what its client says of it.
func inconsistent(a *judge.Attempt) bool {
	want := a.Target
	if a.Fallback == "default" {
		want = "v1"
	}
	return a.Error == "" && a.Version != "" && a.Version != want
}
