package reference

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTheGeneratorReachesEveryBranch counts what the reference answers, and how
// each test ends, over many cases. Nothing may be rare, and nothing may occur
// that is not expected.
func TestTheGeneratorReachesEveryBranch(t *testing.T) {
	t.Parallel()
	const cases, rare = 2000, 5
	seen := map[string]int{}
	for seed := range uint64(cases) {
		c := seeded(seed)
		for i := range c.Requests {
			a := c.Decide(c.Requests[i])
			for _, branch := range slices.Concat(c.outcome(&a), c.kind(&a), c.features(c.Requests[i])) {
				seen[branch]++
			}
			c.countTests(c.Requests[i], seen)
		}
	}
	for _, branch := range expected() {
		assert.Greater(t, seen[branch], rare, branch)
		delete(seen, branch)
	}
	assert.Empty(t, seen, "seen, but not expected")
	t.Logf("FIGURE generator: each of %d branches more than %d times in %d decisions", len(expected()), rare, cases*perCase)
}

func expected() []string {
	all := []string{
		"via lane", "via lane, skipped", "via lane, error no_instance", "via rule, error unknown_target",
		`via rule, fallback "default"`, "by, target unknown", "by, target default", "by, target other",
		"to, target default", "to, target other", "absent sticky, target default",
		"first slot of an arm", "last slot of an arm", "an arm of all slots", "an arm of none",
		"no document", "no document, a version", "no document, by", "no document, by, a version",
		"header twice", "malformed x-tag", "1024 bytes", "1025 bytes", "lane is no name", "lane declared", "lane matches",
		"unhealthy", "disabled", "weight 0", "isolated", "isolated, spelled differently",
	}
	for _, via := range []string{"off", "rule", "default"} {
		for _, end := range []string{"", `, fallback "panic"`, `, fallback "any"`, ", error no_instance", ", skipped"} {
			all = append(all, "via "+via+end)
		}
	}
	for arms := range 3 {
		all = append(all, fmt.Sprintf("sticky, %d arms", arms))
	}
	for arms := range 4 {
		all = append(all, fmt.Sprintf("drawn, %d arms", arms))
	}
	for _, how := range []string{"sticky", "drawn"} {
		all = append(all, how+", target default", how+", target other")
	}
	for kind := Equal; kind <= Absent; kind++ {
		for _, field := range []string{"header", "cookie", "query", "path", "method", "user", "lane", "tag", "caller"} {
			for _, holds := range []bool{true, false} {
				all = append(all, fmt.Sprintf("test %d of %s: %t", kind, field, holds))
			}
		}
	}
	return all
}

// outcome names how an answer ends.
func (c *Case) outcome(a *Answer) []string {
	via := "via " + a.Via
	out := []string{via}
	if a.Fallback != "" {
		out = append(out, fmt.Sprintf("%s, fallback %q", via, a.Fallback))
	}
	if a.Error != "" {
		out = append(out, via+", error "+a.Error)
	}
	if len(a.Skipped) > 0 {
		out = append(out, via+", skipped")
	}
	if c.Document == nil && a.Via != "lane" {
		without := "no document"
		if a.Via == "rule" {
			without += ", by"
		}
		if c.DefaultVersion != "" {
			without += ", a version"
		}
		out = append(out, without)
	}
	return out
}

// kind names what the deciding rule did.
func (c *Case) kind(a *Answer) []string {
	if c.Document == nil || a.Via != "rule" {
		return nil
	}
	i := slices.IndexFunc(c.Document.Rules, func(r Rule) bool { return r.Name == a.Rule })
	r := &c.Document.Rules[i]
	target := ", target other"
	switch a.Target {
	case c.Document.Default:
		target = ", target default"
	case "":
		return []string{"by, target unknown"}
	}
	switch {
	case r.By != "":
		return []string{"by" + target}
	case r.Arms == nil:
		return []string{"to" + target}
	case a.Slot < 0:
		return []string{"absent sticky" + target}
	}
	how := "drawn"
	if r.Sticky != "" {
		how = "sticky"
	}
	out := []string{how + target, fmt.Sprintf("%s, %d arms", how, len(r.spans(c.Document.Default)))}
	for _, s := range r.spans(c.Document.Default) {
		switch {
		case s.from == s.to:
			out = append(out, "an arm of none")
		case s.to-s.from == slots:
			out = append(out, "an arm of all slots")
		case s.from == a.Slot:
			out = append(out, "first slot of an arm")
		case s.to-1 == a.Slot:
			out = append(out, "last slot of an arm")
		}
	}
	return out
}

// features names what is odd about a request and the instances.
func (c *Case) features(req Request) []string {
	var out []string
	see := func(is bool, what string) {
		if is {
			out = append(out, what)
		}
	}
	for name, values := range req.Headers {
		see(len(values) > 1, "header twice")
		see(len(values) == 1 && len(values[0]) == maxValue, "1024 bytes")
		see(len(values) == 1 && len(values[0]) == maxValue+1, "1025 bytes")
		see(strings.EqualFold(name, "x-tag") && len(values) == 1 && tags(req) == nil, "malformed x-tag")
	}
	see(req.Lane != "" && !isName(req.Lane), "lane is no name")
	if c.Global != nil {
		lane, declared := c.Global.Lanes[req.Lane]
		see(declared, "lane declared")
		see(lane.Match != nil, "lane matches")
	}
	w := &world{doc: c.Document}
	if w.doc == nil {
		return out
	}
	for _, in := range c.Instances {
		see(!in.Healthy, "unhealthy")
		see(!in.Enabled, "disabled")
		see(in.Weight == 0, "weight 0")
		see(w.isolated(in.Addr), "isolated")
		see(w.isolated(in.Addr) && !slices.Contains(c.Document.Isolate, in.Addr), "isolated, spelled differently")
	}
	return out
}

// countTests counts how the tests of all rules end.
func (c *Case) countTests(req Request, seen map[string]int) {
	if c.Document == nil {
		return
	}
	for _, r := range c.Document.Rules {
		for _, tests := range slices.Concat(r.When, r.Unless) {
			for field, test := range tests {
				kind, _, _ := strings.Cut(string(field), ".")
				v, present := value(req, field)
				seen[fmt.Sprintf("test %d of %s: %t", test.Kind, kind, test.holds(v, present))]++
			}
		}
	}
}

func TestASeedAlwaysMakesTheSameCase(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		first, again := seeded(seed), seeded(seed)
		assert.Equal(t, first, again, "seed %d", seed)
	}
	assert.NotEqual(t, seeded(1), seeded(2))
}
