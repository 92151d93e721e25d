package balancer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Explanation is a decision and how it came about.
type Explanation struct {
	Decision Decision
	Err      error // a *Error; nil if there are candidates
	// Lane says why the request's lane did not decide; "" if the request is in
	// none, or its lane decided.
	Lane string
	// Rules are those that the request was held against, in order. The last one
	// decided if Decision.Via is ViaRule.
	Rules []RuleCheck
	// Steps lead from the target to the candidates, which the last one leaves.
	Steps []Step
}

// RuleCheck is one rule held against a request.
type RuleCheck struct {
	Rule string
	// Why the rule does not match; "" if it does.
	Why string
}

// Step is one step towards the candidates.
type Step struct {
	What string
	// Note says what else there is to say: why the others are not usable.
	Note string
	// Left are the addresses of the instances that it leaves, sorted.
	Left []string
}

// Explain is DecideAt with reasons. It draws no slot: slot (-1: none is known)
// stands for the drawn one, and without it 0 does.
func (d *Director) Explain(req config.Request, slot int) Explanation {
	var e Explanation
	e.Decision, e.Err = d.DecideAt(req, max(0, slot), 0)
	if e.Decision.Via != ViaOff {
		e.Lane = d.explainLane(req.Lane(), e.Decision.Via)
		if e.Decision.Via != ViaLane {
			e.Rules = d.explainRules(req)
		}
	}
	e.Steps = d.explainSteps(&e.Decision, e.Err)
	return e
}

func (d *Director) explainLane(name string, via Via) string {
	switch l, ok := d.lanes[name]; {
	case name == "" || via == ViaLane:
		return ""
	case !config.ValidName(name):
		return fmt.Sprintf("%.64q is no lane's name", name)
	case !ok || l.subset == nil:
		return fmt.Sprintf("lane %q has no usable instance here", name)
	}
	return ""
}

func (d *Director) explainRules(req config.Request) []RuleCheck {
	l := config.NewLookup(req, d.caller)
	if d.rules == nil {
		if _, ok := l.Value(d.asked); !ok {
			return []RuleCheck{{"", "no document, and " + d.asked.String() + " is absent"}}
		}
		return []RuleCheck{{"", ""}}
	}
	var checks []RuleCheck
	decided := d.matcher.match(&l)
	for i := range d.rules.Rules {
		rule := &d.rules.Rules[i]
		c := RuleCheck{Rule: rule.Name}
		switch {
		case i == decided:
			return append(checks, c)
		case !rule.Enabled:
			c.Why = "enabled: false"
		default:
			if c.Why = rule.When.Why(&l); c.Why == "" {
				c.Why = "by: " + rule.By.String() + " is absent"
			}
		}
		checks = append(checks, c)
	}
	return checks
}

// explainSteps goes the way that Build and DecideAt went, in the open.
func (d *Director) explainSteps(dec *Decision, err error) []Step {
	var steps []Step
	add := func(what string, members []int32) []int32 {
		steps = append(steps, Step{What: what, Left: d.addresses(members)})
		return members
	}
	if dec.Target == "" && d.standard.name != "" {
		return nil // an unknown target
	}
	name, in := d.memberOf(dec)
	members := add("instances of "+name, d.which(in))
	usable := filter(members, func(i int32) bool { return d.usable(d.snapshot.At(int(i))) })
	note := d.whyNot(members)
	members = add("usable", usable)
	steps[len(steps)-1].Note = note
	standard := &Decision{Target: d.standard.name}
	if dec.Fallback == FallbackDefault || dec.Fallback != NoFallback && dec.Target != d.standard.name {
		name, in = d.memberOf(standard)
		members = add("instead, usable of "+name, d.which(func(i *registry.Instance) bool { return in(i) && d.usable(i) }))
	}
	switch dec.Fallback {
	case FallbackPanic:
		name, in = d.memberOf(standard)
		members = add("instead, whatever their health, of "+name, d.which(func(i *registry.Instance) bool { return in(i) && d.open(i) }))
	case FallbackAny:
		members = add("instead, usable of all", d.which(func(i *registry.Instance) bool { return baseline(i) && d.usable(i) }))
	case NoFallback, FallbackDefault:
	}
	if err != nil {
		return steps
	}
	d.prefer(members, func(label string, kept []int32) {
		what := fmt.Sprintf("prefer %s=%s", label, d.caller[label])
		if kept == nil {
			what, kept = what+": skipped, it keeps too few", members
		}
		members = add(what, kept)
	})
	return steps
}

// whyNot says how many instances are not usable, by the reason.
func (d *Director) whyNot(members []int32) string {
	var disabled, weightless, isolated, unhealthy int
	for _, m := range members {
		switch in := d.snapshot.At(int(m)); {
		case !in.Enabled:
			disabled++
		case in.Weight == 0:
			weightless++
		case !d.open(in):
			isolated++
		case !in.Healthy:
			unhealthy++
		}
	}
	var reasons []string
	for _, r := range []struct {
		n   int
		why string
	}{{disabled, "disabled"}, {weightless, "of weight 0"}, {isolated, "isolated"}, {unhealthy, "unhealthy"}} {
		if r.n > 0 {
			reasons = append(reasons, fmt.Sprintf("%d %s", r.n, r.why))
		}
	}
	return strings.Join(reasons, ", ")
}

// memberOf returns the name of a decision's target for people, and which instances
// are of it.
func (d *Director) memberOf(dec *Decision) (name string, in func(*registry.Instance) bool) {
	switch {
	case dec.Via == ViaLane:
		match := d.lanes[dec.Target].match
		return "lane " + dec.Target, func(i *registry.Instance) bool { return carries(i, match) }
	case dec.Target == "":
		return "no lane", baseline
	}
	labels := d.labels(dec.Target)
	return dec.Target, func(i *registry.Instance) bool { return Belongs(i, labels) }
}

func (d *Director) addresses(members []int32) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = d.snapshot.At(int(m)).Addr
	}
	slices.Sort(out)
	return out
}

func filter(members []int32, keep func(int32) bool) []int32 {
	return slices.DeleteFunc(slices.Clone(members), func(m int32) bool { return !keep(m) })
}
