package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document draws a service document.
func (g generator) document(service string) *Document {
	d := &Document{
		Off: g.chance(6), DegradeAny: g.chance(40), Style: g.style(), Noise: g.noise(),
		Prefer:  some(g, 0, 3, "region", "zone", "cluster", "version", "env", "lane"),
		Isolate: some(g, 0, pick(g, 0, 0, 4, 9), isolated()...),
	}
	if g.chance(30) {
		d.Service = service
	}
	if g.chance(50) {
		d.PreferMin = pick(g, 1, 1250, 3333, 5000, 9999, slots)
	}
	if g.chance(50) {
		d.Targets = map[string]map[string]string{}
		for _, name := range some(g, 2, 4, "v1", "v1", "v2", "v2", "v3", "x.9") {
			d.Targets[name] = g.labels()
			if g.chance(50) {
				d.Targets[name] = map[string]string{"version": g.version()}
			}
		}
	}
	targets := []string{"v1", "v1", "v2", "v2", "v3", "x.9"}
	if d.Targets != nil {
		targets = slices.Sorted(maps.Keys(d.Targets))
	}
	d.Default = pick(g, targets...)
	for i := range g.IntN(5) {
		r := g.rule(targets, d.Default)
		r.Name = fmt.Sprintf("r.%d", i)
		d.Rules = append(d.Rules, r)
	}
	return d
}

// noise draws fields that decide nothing.
func (g generator) noise() []string {
	if g.chance(70) {
		return nil
	}
	return some(g, 1, 4,
		`"x-owner": {"team": ["a", 1, null]}`,
		`"guard": {"errors": "50%", "over": "30s", "min": 50, "failures": 3, "hold": "1m"}`,
		`"balance": `+pick(g, `"least"`, `{"hash": "user"}`),
		`"needs": []`,
	)
}

func (g generator) rule(targets []string, defaultTarget string) Rule {
	r := Rule{Off: g.chance(10), Fail: g.chance(40)}
	if g.chance(65) {
		r.When = g.condition()
	}
	if g.chance(30) {
		r.Unless = g.condition()
	}
	switch n := g.IntN(10); {
	case n < 3:
		r.To = pick(g, targets...)
	case n < 6:
		r.By = pick(g, "header.x-gray-version", "header.X-A", "tag.version", "cookie.c", "query.q", "caller.version",
			"lane", "user", "path", "method", Field(g.field()))
	default:
		r.Arms = g.arms(targets)
		if beside := r.spans(defaultTarget); len(beside) <= 2 && g.chance(60) {
			r.Sticky = pick(g, "user", "user", "header.x-a", "tag.k", "cookie.c", "query.q", "lane", "caller.zone", Field(g.field()))
			r.Salt = pick(g, "", "", "s", "盐", `it's "\ #`)
		}
	}
	return r
}

// arms draws shares that add up to at most all slots.
func (g generator) arms(targets []string) map[string]int {
	arms, left := map[string]int{}, slots
	for _, name := range some(g, 1, 3, slices.Clone(targets)...) {
		if _, twice := arms[name]; twice {
			continue
		}
		arms[name] = min(left, pick(g, 0, 1, 110, 1000, 1250, 2500, 3333, 5000, 5000, 9999, slots))
		left -= arms[name]
	}
	return arms
}

// condition draws a list of maps, of which most have one test, so that many
// hold.
func (g generator) condition() Condition {
	var c Condition
	for range pick(g, 1, 1, 1, 2, 3) {
		tests, seen := map[Field]Test{}, map[string]bool{}
		for range pick(g, 1, 1, 2, 3) {
			field := g.field()
			// Two keys that differ only in case are the same header.
			if lower := strings.ToLower(field); !seen[lower] {
				seen[lower] = true
				tests[Field(field)] = g.test(field)
			}
		}
		c = append(c, tests)
	}
	return c
}

// field draws a FIELD of section 2.
func (g generator) field() string {
	return pick(g,
		"header.x-gray-version", "header.X-A", "header.x-a", "header.x-b", "header.x-user-id", "header.x-tag",
		"header.x-gray-lane", "cookie.c", "cookie.d e", "query.q", "query.中", "path", "path", "method", "user", "user",
		"lane", "lane", "tag.version", "tag.k", "tag.lane", "caller.version", "caller.service", "caller.region",
		"caller.zone", "caller.cluster")
}

// valueOf draws a value that a request may have for a field.
func (g generator) valueOf(field string) string {
	kind, name, _ := strings.Cut(field, ".")
	switch {
	case kind == "path":
		return g.path()
	case kind == "method":
		return g.method()
	case kind == "lane" || name == "lane":
		return g.lane()
	case name == "service":
		return pick(g, "web", "gw")
	case name == "zone":
		return pick(g, "a", "b", "1.5", "")
	case name == "region":
		return pick(g, "sh", "bj")
	case name == "cluster":
		return g.cluster()
	case name == "version":
		return g.version()
	default:
		return g.text()
	}
}

// test draws one of the tests of section 2 for a field.
func (g generator) test(field string) Test {
	v := g.valueOf(field)
	runes := []rune(v)
	cut := 0
	if len(runes) > 0 {
		cut = g.IntN(len(runes))
	}
	switch kind := pick(g, Equal, Equal, NotEqual, Prefix, Suffix, Regex, Range, Exists, Absent); kind {
	case Prefix:
		return Test{kind, []string{string(runes[:len(runes)-cut])}}
	case Suffix:
		return Test{kind, []string{string(runes[cut:])}}
	case Regex:
		return Test{kind, []string{g.regex()}}
	case Range:
		return Test{kind, g.bounds()}
	case Exists, Absent:
		return Test{Kind: kind}
	default:
		values := []string{v}
		for g.chance(30) {
			values = append(values, g.valueOf(field))
		}
		return Test{kind, values}
	}
}

// regex draws patterns that show whether the whole value must match, whether
// an alternative is held together, and what a flag reaches.
func (g generator) regex() string {
	return pick(g, "v[0-9]", "v1|v2", "v", "1|v", ".*", "(?s).*", "", "(?i)V1", "(?i)v1|X", "^v1$", "v1$|u", "(?m)^v1$",
		`u[0-9]*`, `[0-9]+\.[0-9]+`, `/pay(/.*)?`, "GET|P", `\p{Han}+`, "l.", "[^a]*b", "c(?:anary)-.{2}", "sh|b.", "C[12]",
		"n{64}", `v1\n`, "[ab]?")
}

// bounds draws a range. Its ends may be equal.
func (g generator) bounds() []string {
	number := func() string {
		return pick(g, "-3", "-3.00", "-0", "0", "1", "1.5", "1.50", "2.1", "2.10", "10", "007",
			"123456789012345678901234567890", "0.0000000000000000000001")
	}
	a, b := number(), number()
	if decimal(a).Cmp(decimal(b)) > 0 {
		a, b = b, a
	}
	return []string{a, b}
}
