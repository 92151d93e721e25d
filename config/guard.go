package config

import (
	"regexp"
	"strconv"
	"time"
)

// What a guard is where the document does not say, and the bounds of what it
// says.
const (
	defaultGuardOver = 30 * time.Second
	defaultGuardMin  = 50
	defaultGuardHold = 30 * time.Second
	maxGuardOver     = 10 * time.Minute
	maxGuardHold     = time.Hour
	maxRetries       = 5
	maxInteger       = 1_000_000_000
)

func (r *reader) guard(n *node, d *draft) {
	if !r.want(n, mapping) {
		return
	}
	g := Guard{Errors: -1, Over: defaultGuardOver, Min: defaultGuardMin, Hold: defaultGuardHold}
	readFields(r, n, closed, []field[Guard]{
		{name: "errors", read: func(r *reader, n *node, g *Guard) { g.Errors, _ = r.percent(n) }},
		{name: "over", read: func(r *reader, n *node, g *Guard) { g.Over = r.duration(n, time.Second, maxGuardOver) }},
		{name: "min", read: func(r *reader, n *node, g *Guard) { g.Min = r.integer(n, maxInteger) }},
		{name: "failures", read: func(r *reader, n *node, g *Guard) { g.Failures = r.integer(n, maxInteger) }},
		{name: "hold", read: func(r *reader, n *node, g *Guard) { g.Hold = r.duration(n, time.Second, maxGuardHold) }},
	}, &g)
	if n.get("errors") == nil && n.get("failures") == nil {
		r.errorf(n.start(), codeMissingField, `a guard has at least one of "errors" and "failures"`)
	}
	d.Guard = &g
}

func (r *reader) limits(n *node, d *draft) {
	if !r.want(n, mapping) {
		return
	}
	d.Limits = make(map[string]Limit, len(n.pairs))
	for _, p := range n.pairs {
		name, _ := r.target(p.key, d)
		if !r.want(p.value, mapping) {
			continue
		}
		l := Limit{Retries: -1}
		readFields(r, p.value, closed, []field[Limit]{
			{name: "timeout", read: func(r *reader, n *node, l *Limit) { l.Timeout = r.duration(n, 0, 0) }},
			{name: "retries", read: func(r *reader, n *node, l *Limit) { l.Retries = r.integer(n, maxRetries) }},
		}, &l)
		d.Limits[name] = l
	}
}

var durations = regexp.MustCompile(`\A\d+(ms|s|m|h)\z`)

// duration reads a DURATION from low to high; high 0: of any length.
func (r *reader) duration(n *node, low, high time.Duration) time.Duration {
	if !r.want(n, scalar) {
		return 0
	}
	if durations.MatchString(n.text) {
		switch d, err := time.ParseDuration(n.text); {
		case err != nil: // too long for a time.Duration
		case d < low || high > 0 && d > high:
			r.errorf(n.place, codeBadDuration, "%s is not from %s to %s", quote(n.text), low, high)
			return 0
		default:
			return d
		}
	}
	r.errorf(n.place, codeBadDuration, "%s is no duration, as 800ms, 30s, 5m or 1h", quote(n.text))
	return 0
}

// integer reads a whole number from 0 to high.
func (r *reader) integer(n *node, high int) int {
	if !r.want(n, scalar) {
		return 0
	}
	i, err := strconv.Atoi(n.text)
	if err != nil || !digits(n.text) || i > high {
		r.errorf(n.place, codeBadValue, "%s is no whole number from 0 to %d", quote(n.text), high)
		return 0
	}
	return i
}
