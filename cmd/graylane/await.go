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
	seen   map[string]time.Duration // by address: when we heard that they have applied it
}

// await waits until every consumer has applied or refused the document, and reports.
func (r *release) await(ctx context.Context, began time.Time) error {
	o := outcome{before: r.fleet, fleet: r.fleet, seen: map[string]time.Duration{}}
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
		case <-late.C:
			waiting = false
		case <-r.announced.ended:
			return r.announced.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return r.report(&o)
}

// settled notes who has applied the document by now, and reports whether nobody is
// left to be waited for.
func (o *outcome) settled(md5 string, now time.Duration) bool {
	pending := false
	for i := range o.fleet {
		c := &o.fleet[i]
		switch stands(c.Rules, md5) {
		case applied:
			if _, known := o.seen[c.addr]; !known {
				o.seen[c.addr] = now
			}
		case behind, kept:
			pending = true
		case refused:
		}
	}
	return !pending
}

// followers returns how many of the fleet have applied the document, when we heard
// it, and how long they took.
func (o *outcome) followers(md5 string) (seen, took []time.Duration) {
	for i := range o.fleet {
		if c := &o.fleet[i]; stands(c.Rules, md5) == applied {
			seen = append(seen, o.seen[c.addr])
			if c.Took > 0 {
				took = append(took, c.Took)
			}
		}
	}
	return seen, took
}

// left returns who was there before, is not any more, and was never seen to apply it.
func (o *outcome) left() []string {
	var names []string
	for i := range o.before {
		c := &o.before[i]
		_, followed := o.seen[c.addr]
		if !followed && !slices.ContainsFunc(o.fleet, func(f consumer) bool { return f.addr == c.addr }) {
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
	if err == nil && len(seen) < len(o.fleet) {
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
	if len(seen) > 0 {
		fmt.Fprintf(&text, "  heard of %s after the publish\n", spread(seen))
	}
	if len(took) > 0 {
		fmt.Fprintf(&text, "  applied %s after the push, by their own clocks\n", spread(took))
	}
	for i := range o.fleet {
		c := &o.fleet[i]
		switch state := stands(c.Rules, r.md5()); {
		case state != applied:
			fmt.Fprintf(&text, "not: %s: %s\n", c.name(), why(r.id, c.Rules, r.md5()))
		case r.verbose:
			fmt.Fprintf(&text, "  %s: heard of after %s, applied %s after the push\n", c.name(), latency(o.seen[c.addr]), latency(c.Took))
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
		w.SeenMS = milliseconds(o.seen[c.addr])
		wire.Consumers = append(wire.Consumers, w)
	}
	return writeJSON(r.out, wire)
}
