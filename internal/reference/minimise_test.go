package reference

import (
	"maps"
	"slices"
)

// minimised returns the difference with whatever can go taken away: as long as
// the two disagree without a part, it goes.
func (d difference) minimised() difference {
	if d.refused != nil {
		return d
	}
	for {
		smaller := false
		for _, c := range shrunk(d.c) {
			if diffs := compare(c); len(diffs) > 0 && diffs[0].refused == nil {
				diffs[0].seed = d.seed
				d, smaller = diffs[0], true
				break
			}
		}
		if !smaller {
			return d
		}
	}
}

// shrunk returns all cases that have one part less.
func shrunk(c Case) []Case {
	var out []Case
	with := func(change func(*Case)) {
		smaller := c
		change(&smaller)
		out = append(out, smaller)
	}
	for i := range c.Instances {
		with(func(c *Case) { c.Instances = without(c.Instances, i) })
		for name := range c.Instances[i].Metadata {
			with(func(c *Case) {
				c.Instances = slices.Clone(c.Instances)
				c.Instances[i].Metadata = withoutKey(c.Instances[i].Metadata, name)
			})
		}
	}
	if c.Global != nil {
		with(func(c *Case) { c.Global = nil })
		for name := range c.Global.Lanes {
			with(func(c *Case) { c.Global = &Global{Lanes: withoutKey(c.Global.Lanes, name)} })
		}
	}
	if c.DefaultVersion != "" {
		with(func(c *Case) { c.DefaultVersion = "" })
	}
	for _, d := range shrunkDocuments(c.Document) {
		with(func(c *Case) { c.Document = d })
	}
	for _, r := range shrunkRequests(c.Requests[0]) {
		with(func(c *Case) { c.Requests, c.Caller = []Request{r}, r.Caller })
	}
	return out
}

func shrunkDocuments(d *Document) []*Document {
	if d == nil {
		return nil
	}
	var out []*Document
	with := func(change func(*Document)) {
		smaller := *d
		change(&smaller)
		out = append(out, &smaller)
	}
	for i := range d.Rules {
		with(func(d *Document) { d.Rules = without(d.Rules, i) })
		for _, r := range shrunkRules(d.Rules[i]) {
			with(func(d *Document) { d.Rules = slices.Clone(d.Rules); d.Rules[i] = r })
		}
	}
	for i := range d.Isolate {
		with(func(d *Document) { d.Isolate = without(d.Isolate, i) })
	}
	for i := range d.Prefer {
		with(func(d *Document) { d.Prefer = without(d.Prefer, i) })
	}
	if d.Off || d.DegradeAny || d.PreferMin > 0 || d.Noise != nil || d.Style != (Style{}) {
		with(func(d *Document) { d.Off = false })
		with(func(d *Document) { d.DegradeAny = false })
		with(func(d *Document) { d.PreferMin = 0 })
		with(func(d *Document) { d.Noise = nil })
		with(func(d *Document) { d.Style = Style{} })
	}
	for name := range d.Targets { // Without one that is used the document is refused.
		with(func(d *Document) { d.Targets = withoutKey(d.Targets, name) })
	}
	// What is as it was is no smaller.
	return slices.DeleteFunc(out, func(smaller *Document) bool { return line(smaller) == line(d) })
}

func shrunkRules(r Rule) []Rule {
	var out []Rule
	with := func(change func(*Rule)) {
		smaller := r
		change(&smaller)
		if line(smaller) != line(r) {
			out = append(out, smaller)
		}
	}
	with(func(r *Rule) { r.Fail = false })
	with(func(r *Rule) { r.Salt = "" })
	with(func(r *Rule) { r.Sticky, r.Salt = "", "" })
	for name := range r.Arms {
		with(func(r *Rule) { r.Arms = withoutKey(r.Arms, name) })
	}
	for _, c := range shrunkConditions(r.When) {
		with(func(r *Rule) { r.When = c })
	}
	for _, c := range shrunkConditions(r.Unless) {
		with(func(r *Rule) { r.Unless = c })
	}
	return out
}

func shrunkConditions(c Condition) []Condition {
	var out []Condition
	for i := range c {
		out = append(out, without(c, i))
		for field := range c[i] {
			if len(c[i]) > 1 {
				smaller := slices.Clone(c)
				smaller[i] = withoutKey(c[i], field)
				out = append(out, smaller)
			}
		}
	}
	return out
}

func shrunkRequests(r Request) []Request {
	var out []Request
	with := func(change func(*Request)) {
		smaller := r
		change(&smaller)
		if line(smaller) != line(r) {
			out = append(out, smaller)
		}
	}
	with(func(r *Request) { r.Lane = "" })
	with(func(r *Request) { r.User = "" })
	with(func(r *Request) { r.Slot = 0 })
	with(func(r *Request) { r.Path = "/" })
	with(func(r *Request) { r.Method = "GET" })
	for name := range r.Headers {
		with(func(r *Request) { r.Headers = withoutKey(r.Headers, name) })
	}
	for name := range r.Cookies {
		with(func(r *Request) { r.Cookies = withoutKey(r.Cookies, name) })
	}
	for name := range r.Query {
		with(func(r *Request) { r.Query = withoutKey(r.Query, name) })
	}
	for name := range r.Caller {
		with(func(r *Request) { r.Caller = withoutKey(r.Caller, name) })
	}
	return out
}

func without[S ~[]E, E any](s S, i int) S { return slices.Delete(slices.Clone(s), i, i+1) }

func withoutKey[K comparable, V any](m map[K]V, key K) map[K]V {
	m = maps.Clone(m)
	delete(m, key)
	return m
}
