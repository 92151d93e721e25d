package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/explain"
)

// outcome is what has become of a published document.
type outcome struct {
	before []consumer               // who was there when it was published
	fleet  []consumer               // who is there now
	seen   map[string]time.Duration // by ID: when we heard that they have applied it
	stale  map[string]bool          // by ID: what they say of it may be from before
}

// settling is how long what a consumer says may be from before: it says something new once
// a second, and Nacos takes its time to tell.
const settling = 3 * time.Second

// newOutcome begins to wait for a fleet. Where the document was live before the one that
// was in its place, who still announces it may not have heard of either.
func newOutcome(fleet []consumer, md5, base string) *outcome {
	o := &outcome{before: fleet, fleet: fleet, seen: map[string]time.Duration{}, stale: map[string]bool{}}
	for i := range fleet {
		if base != md5 && stands(fleet[i].Rules, md5) == applied {
			o.stale[fleet[i].id] = true
		}
	}
	return o
}

// await waits until every consumer has applied or refused the document, and reports.
func (r *release) await(ctx context.Context, began time.Time) error {
	o := newOutcome(r.fleet, r.md5(), r.base.MD5)
	settled := time.NewTimer(settling)
	defer settled.Stop()
	late := time.NewTimer(r.wait)
	defer late.Stop()
	for waiting := true; waiting && !o.settled(r.md5(), time.Since(began)); {
		select {
		case update := <-r.announced.values:
			o.fleet = consumers(update)
		case now := <-r.docs.values:
			if now.MD5 != r.md5() && now.MD5 != r.base.MD5 {
				return r.overtaken(now)
			}
		case <-settled.C: // what is said by now is no longer from before
		case <-late.C:
			waiting = false
		case <-r.announced.ended:
			return r.announced.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return r.report(o)
}

// settled notes who has applied the document by now, and reports whether nobody is
// left to be waited for. Who was there and is missing may be back soon, and may have died
// of the document.
func (o *outcome) settled(md5 string, now time.Duration) bool {
	pending := len(o.left()) > 0
	for i := range o.fleet {
		c := &o.fleet[i]
		switch stands(c.Rules, md5) {
		case applied:
			if o.stale[c.id] && now < settling {
				pending = true
				continue
			}
			if _, known := o.seen[c.id]; !known {
				o.seen[c.id] = now
			}
		case behind, kept:
			pending = true
			delete(o.stale, c.id)
		case refused:
			delete(o.stale, c.id)
		}
	}
	return !pending
}

// followers returns how many of the fleet have applied the document, when we heard
// it, and how long they took.
func (o *outcome) followers(md5 string) (seen, took []time.Duration) {
	for i := range o.fleet {
		c := &o.fleet[i]
		if when, known := o.seen[c.id]; known && stands(c.Rules, md5) == applied {
			seen = append(seen, when)
			if c.Took > 0 {
				took = append(took, c.Took)
			}
		}
	}
	return seen, took
}

// left returns who was there before and is not any more.
func (o *outcome) left() []string {
	var names []string
	for i := range o.before {
		c := &o.before[i]
		if !slices.ContainsFunc(o.fleet, func(f consumer) bool { return f.id == c.id }) {
			names = append(names, c.name())
		}
	}
	return names
}

// report prints what has become of the document.
func (r *release) report(o *outcome) error {
	seen, took := o.followers(r.md5())
	var err error
	if r.json {
		err = r.reportJSON(o, len(seen))
	} else {
		_, err = io.WriteString(r.out, explain.Safe(r.text(o, seen, took)))
	}
	if err == nil && (len(seen) < len(o.fleet) || len(o.left()) > 0) {
		err = &exitError{code: exitFailed}
	}
	return err
}

func (r *release) text(o *outcome, seen, took []time.Duration) string {
	var text strings.Builder
	if len(o.fleet) == 0 {
		text.WriteString(nobody)
	} else {
		fmt.Fprintf(&text, "revision %s applied by %d of %s\n", revision(r.md5()), len(seen), count(len(o.fleet), "consumer"))
	}
	if len(took) > 0 {
		fmt.Fprintf(&text, "  applied %s after the push, by their own clocks\n", spread(took))
	}
	if len(seen) > 0 {
		fmt.Fprintf(&text, "  announced to this command %s after the publish\n", spread(seen))
	}
	for i := range o.fleet {
		c := &o.fleet[i]
		switch state := stands(c.Rules, r.md5()); {
		case state != applied:
			fmt.Fprintf(&text, "not: %s: %s\n", c.name(), why(r.id, c.Rules, r.md5()))
		case r.verbose:
			fmt.Fprintf(&text, "  %s: applied %s after the push, announced %s after the publish\n", c.name(), latency(c.Took), latency(o.seen[c.id]))
		}
	}
	for _, name := range o.left() {
		fmt.Fprintf(&text, "gone meanwhile: %s\n", name)
	}
	return text.String()
}

// spread says where durations lie.
func spread(of []time.Duration) string {
	of = slices.Sorted(slices.Values(of))
	return fmt.Sprintf("p50 %s, max %s", latency(of[(len(of)-1)/2]), latency(of[len(of)-1]))
}

func (r *release) reportJSON(o *outcome, followers int) error {
	wire := struct {
		Document  string         `json:"document"`
		Revision  string         `json:"revision"`
		Applied   int            `json:"applied"`
		Consumers []wireConsumer `json:"consumers"`
		Gone      []string       `json:"gone"`
	}{r.id, r.md5(), followers, []wireConsumer{}, append([]string{}, o.left()...)}
	for i := range o.fleet {
		c := &o.fleet[i]
		var reasons []string
		if reason := why(r.id, c.Rules, r.md5()); reason != "" {
			reasons = append(reasons, reason)
		}
		w := c.wire(stands(c.Rules, r.md5()), reasons)
		w.SeenMS = milliseconds(o.seen[c.id])
		wire.Consumers = append(wire.Consumers, w)
	}
	return writeJSON(r.out, wire)
}
