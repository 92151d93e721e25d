package explain

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

// maxShown is how many addresses of a list are shown.
const maxShown = 8

// Text explains to a person who gets a request.
func (d *Director) Text(r *Request) string {
	x := d.Explain(r, r.slot)
	p := &Page{}
	p.Fold("", requestLine(r))
	if x.Lane != "" {
		p.line("lane", x.Lane)
	}
	p.rules(x.Rules)
	d.slot(p, r, &x.Decision)
	p.steps(x.Steps)
	p.line("→", d.outcome(r, &x))
	return p.String()
}

// requestLine names a request.
func requestLine(r *Request) string {
	var words, parts []string
	for _, s := range []string{r.Method(), r.Path()} {
		if s != "" {
			words = append(words, Plain(s))
		}
	}
	if len(words) > 0 {
		parts = append(parts, strings.Join(words, " "))
	}
	add := func(lead, value string) {
		if value != "" {
			parts = append(parts, lead+Plain(value))
		}
	}
	add("user ", r.User())
	add("lane ", r.Lane())
	for _, name := range slices.Sorted(maps.Keys(r.caller)) {
		add("caller."+Plain(name)+" ", r.caller[name])
	}
	return strings.TrimSpace(Plain(r.in.ID) + ": " + strings.Join(parts, ", "))
}

// rules adds the rules that a request was held against.
func (p *Page) rules(checks []balancer.RuleCheck) {
	width := 0
	for _, c := range checks {
		width = max(width, len(c.Rule))
	}
	width = min(width, 24)
	label := "rules"
	for _, c := range checks {
		why := cmp.Or(c.Why, "matches")
		if c.Rule == "" { // there is no document
			why = cmp.Or(c.Why, "no document: the header x-gray-version names the target")
		}
		lead := fmt.Sprintf("  %-8s%-*s  ", label, width, c.Rule)
		if c.Rule == "" {
			lead = fmt.Sprintf("  %-8s", label)
		}
		p.Fold(lead, why)
		label = ""
	}
}

// slot adds the slot of a split and where it comes from.
func (d *Director) slot(p *Page, r *Request, dec *balancer.Decision) {
	rule := d.Rule(dec.Rule)
	if rule == nil || !rule.Split {
		return
	}
	if dec.Slot < 0 {
		p.line("slot", fmt.Sprintf("none: %s is absent, and it alone says which", rule.Sticky))
		return
	}
	from := "the request's own"
	switch {
	case rule.Sticky != nil:
		key, _ := rule.Sticky.Value(r, d.Caller())
		from = fmt.Sprintf("hashed from %s %s with salt %s", rule.Sticky, strconv.Quote(key), Plain(rule.Salt))
	case r.drawn:
		from = "drawn here, since the request has none"
	}
	p.line("slot", fmt.Sprintf("%d of %d, %s", dec.Slot, config.Slots, from))
	var arms []string
	for _, a := range rule.To {
		if a.From < a.To {
			arms = append(arms, fmt.Sprintf("%s has %d to %d", a.Target, a.From, a.To-1))
		}
	}
	p.line("", strings.Join(append(arms, "the default has the rest"), ", "))
}

// steps adds the candidates after each step.
func (p *Page) steps(steps []balancer.Step) {
	width := 0
	for _, s := range steps {
		width = max(width, len(s.What))
	}
	width = min(width, 40)
	label := "who"
	for _, s := range steps {
		lead := fmt.Sprintf("  %-8s%-*s %3d", label, width, s.What, len(s.Left))
		p.Fold(lead+"  ", shortened(s.Left))
		label = ""
		if s.Note != "" {
			p.Fold(fmt.Sprintf("  %-8s%-*s      ", label, width, ""), "not: "+s.Note)
		}
	}
}

// shortened lists addresses, only the first of a long list.
func shortened(addrs []string) string {
	if more := len(addrs) - maxShown; more > 0 {
		return strings.Join(addrs[:maxShown], " ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(addrs, " ")
}

// outcome says who serves a request, and what its caller sees if nobody does.
func (d *Director) outcome(r *Request, x *balancer.Explanation) string {
	by := ""
	switch x.Decision.Via {
	case balancer.ViaLane:
		by = "since the request is in it"
	case balancer.ViaOff:
		by = "since the document says enabled: false"
	case balancer.ViaDefault:
		by = "since no rule matches"
	case balancer.ViaRule:
		by = fmt.Sprintf("by rule %q", x.Decision.Rule)
		if x.Decision.Rule == "" {
			by = "as the request asks"
		}
	}
	if x.Err != nil {
		return d.refused(r, x, by)
	}
	if name, asked := d.asked(r, &x.Decision); asked && name != x.Decision.Target {
		by += fmt.Sprintf("; %.80q is no target", name)
	}
	return fmt.Sprintf("%s, %s", d.Where(&x.Decision, nil), by)
}

// asked returns the target that a request names itself, if a rule lets it.
func (d *Director) asked(r *Request, dec *balancer.Decision) (name string, ok bool) {
	rule := d.Rule(dec.Rule)
	switch {
	case rule != nil && rule.By != nil:
		return rule.By.Value(r, d.Caller())
	case d.rules == nil && dec.Via == balancer.ViaRule:
		return config.HeaderField(lane.HeaderVersion).Value(r, d.Caller())
	}
	return "", false
}

// refused says why a request is refused, and what its caller sees.
func (d *Director) refused(r *Request, x *balancer.Explanation, by string) string {
	if errors.Is(x.Err, balancer.ErrUnknownTarget) {
		name, _ := d.asked(r, &x.Decision)
		return fmt.Sprintf("refused, unknown_target %.80q, %s: the caller gets HTTP 400, gRPC InvalidArgument", name, by)
	}
	return fmt.Sprintf("refused, no_instance of %s, %s: the caller gets HTTP 503, gRPC Unavailable",
		d.target(&x.Decision), by)
}

// Where says where a request goes: the target that was chosen, and who serves in
// its place if that has nobody; or that it is refused.
func (d *Director) Where(dec *balancer.Decision, err error) string {
	if err != nil {
		return "refused: " + refusal(err)
	}
	target := d.target(dec)
	standard := d.target(&balancer.Decision{Target: d.standard})
	switch dec.Fallback {
	case balancer.FallbackDefault:
		if target != standard {
			return fmt.Sprintf("%s (fell back to default %s)", target, standard)
		}
	case balancer.FallbackPanic:
		return fmt.Sprintf("%s (fell back to unhealthy instances of %s)", target, standard)
	case balancer.FallbackAny:
		return target + " (fell back to any instance)"
	case balancer.NoFallback:
	}
	return target
}

// target names a decision's target.
func (d *Director) target(dec *balancer.Decision) string {
	switch {
	case dec.Via == balancer.ViaLane:
		return "lane " + dec.Target
	case dec.Target == "":
		return "all versions" // no document and no default version
	}
	return dec.Target
}
