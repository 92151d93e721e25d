package faults

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Goal is what our clients are held to under a fault. Answers of a wrong version,
// and requests that are sent twice and must not be, are never allowed.
type Goal struct {
	// Failed is the most requests of a client that may fail of those that can be
	// sent again, Unsafe of the others; -1: any number.
	Failed, Unsafe int
	// ShareOf bounds the failed share by that of a rival, times Times.
	ShareOf string
	// AttemptOf bounds the time of the last failed attempt in that way.
	AttemptOf string
	Times     float64
	// Most and Least bound measures.
	Most, Least map[string]float64
}

// attemptFloor is what a last failed attempt may take in any case: a rival may have
// had nothing in flight at all.
const attemptFloor = 100 * time.Millisecond

// mostSends is how often a request may arrive on average, retries included.
const mostSends = 1.1

// Goals returns what issue by issue was promised, by fault.
func Goals(s Size) map[string]Goal {
	none := Goal{}
	perKill := 3 // in flight on the one that is killed
	return map[string]Goal{
		"F1":  none,
		"F2":  {Unsafe: perKill * kills(s)},
		"F3":  {Unsafe: perKill, AttemptOf: GRPCRetry, Times: 2},
		"F4":  {Failed: -1, Unsafe: -1, ShareOf: GRPCOutlier, Times: 0.25},
		"F7":  {Failed: 20, Unsafe: 20},
		"F11": {Most: map[string]float64{listedAgain: 10}},
		"F12": {Most: map[string]float64{goneWithin: 5}},
		"F13": {Most: map[string]float64{listedAgain: 10, hottest: 1.5}},
		"F17": {Most: map[string]float64{reregistered: 10, subscribed: 10}},
		"F18": {Most: map[string]float64{subscribed: 10}},
		"F19": {Most: map[string]float64{known: 10}},
		"F20": {Most: map[string]float64{reregistered: 10, subscribed: 10}},
		"F21": {Most: map[string]float64{reregistered: 10, subscribed: 10}},
		"F23": {Most: map[string]float64{subscribed: 10}},
		"F24": {Most: map[string]float64{firstAnswer: 0.1, subscribed: 10}},
		"F30": {Most: map[string]float64{refusedWithin: 1}},
		"F37": none,
		"guard": {
			Failed: -1, Unsafe: -1,
			Most:  map[string]float64{alarmWithin: 5, shareTripped: 2},
			Least: map[string]float64{shareReturned: 15},
		},
	}
}

// Missed says in which ways a result misses the goal.
func (g *Goal) Missed(r *Result) (missed []string) {
	miss := func(format string, args ...any) { missed = append(missed, fmt.Sprintf(format, args...)) }
	rows := map[string]*Row{}
	for i := range r.Rows {
		rows[r.Rows[i].Client] = &r.Rows[i]
	}
	for _, client := range Ours() {
		row := rows[client]
		if row == nil {
			continue
		}
		if g.Failed >= 0 && row.Failed > g.Failed {
			miss("%s: %d failed, at most %d may: %q", client, row.Failed, g.Failed, row.Evidence)
		}
		if g.Unsafe >= 0 && row.Unsafe > g.Unsafe {
			miss("%s: %d failed that must not be sent twice, at most %d may: %q", client, row.Unsafe, g.Unsafe, row.Errors)
		}
		if row.Wrong > 0 {
			miss("%s: %d times the wrong version: %q", client, row.Wrong, row.Convictions)
		}
		if row.Doubled > 0 {
			miss("%s: %d requests were sent twice that must not be", client, row.Doubled)
		}
		if row.Sends > mostSends {
			miss("%s: a request was sent %.3f times", client, row.Sends)
		}
		if rival := rows[g.ShareOf]; rival != nil && row.Share() > g.Times*rival.Share() {
			miss("%s: %.2f %% failed, of %s %.2f %%", client, 100*row.Share(), rival.Client, 100*rival.Share())
		}
		if rival := rows[g.AttemptOf]; rival != nil {
			if most := max(attemptFloor, time.Duration(g.Times*float64(rival.LastAttempt))); row.LastAttempt > most {
				miss("%s: the last attempt failed after %s, of %s after %s", client, row.LastAttempt, rival.Client, rival.LastAttempt)
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(g.Most)) {
		if got, ok := r.Measures[what]; !ok || got > g.Most[what] {
			miss("%s: %.2f, at most %.2f", what, got, g.Most[what])
		}
	}
	for _, what := range slices.Sorted(maps.Keys(g.Least)) {
		if got, ok := r.Measures[what]; !ok || got < g.Least[what] {
			miss("%s: %.2f, at least %.2f", what, got, g.Least[what])
		}
	}
	return missed
}
