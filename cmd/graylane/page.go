package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

const (
	// pageWidth is how many characters a line has at most, if its words let it.
	pageWidth = 79
	// maxShown is how many addresses of a list are shown.
	maxShown = 8
)

// page is text for a person, made of labeled lines.
type page struct{ strings.Builder }

// line adds text under a label; what does not fit goes on below it.
func (p *page) line(label, text string) { p.fold(fmt.Sprintf("  %-8s", label), text) }

// fold adds words behind a lead, over as many lines as they need, each indented
// like the first.
func (p *page) fold(lead, text string) {
	lead, text = safe(lead), safe(text)
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	at := lead
	used := len(indent)
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > pageWidth:
			p.WriteString(strings.TrimRight(at, " ") + "\n")
			at, used = indent, len(indent)
		default:
			at, used = at+" ", used+1
		}
		at, used = at+word, used+n
	}
	p.WriteString(strings.TrimRight(at, " ") + "\n")
}

// heading says what is explained.
func (e *explainer) heading() string {
	var p page
	p.fold("service  ", fmt.Sprintf("%s, %s of %s", plain(string(e.service)), count(e.snapshot.Len(), "instance"), e.instancesFrom))
	p.fold("rules    ", e.rulesFrom)
	p.fold("global   ", e.globalFrom)
	if e.againstFile != "" {
		p.fold("against  ", string(e.againstFile))
	}
	return p.String()
}

// page explains the decision about a request.
func (e *explainer) page(r *request, d *balancer.Director) string {
	x := d.Explain(r, r.slot)
	p := &page{}
	p.WriteString("\n")
	p.fold("", requestLine(r))
	if x.Lane != "" {
		p.line("lane", x.Lane)
	}
	p.rules(x.Rules)
	p.slot(r, &x.Decision, e.before.rule(x.Decision.Rule))
	p.steps(x.Steps)
	p.line("→", e.before.outcome(r, &x))
	return p.String()
}

// requestLine names a request.
func requestLine(r *request) string {
	var words, parts []string
	for _, s := range []string{r.Method(), r.Path()} {
		if s != "" {
			words = append(words, plain(s))
		}
	}
	if len(words) > 0 {
		parts = append(parts, strings.Join(words, " "))
	}
	add := func(lead, value string) {
		if value != "" {
			parts = append(parts, lead+plain(value))
		}
	}
	add("user ", r.User())
	add("lane ", r.Lane())
	for _, name := range slices.Sorted(maps.Keys(r.caller)) {
		add("caller."+plain(name)+" ", r.caller[name])
	}
	return strings.TrimSpace(plain(r.wire.ID) + ": " + strings.Join(parts, ", "))
}

// plain returns a text that a request brought, in quotes where it could be taken
// for something else or would upset a terminal, and shortened.
func plain(s string) string {
	const limit = 120
	cut := ""
	if len(s) > limit {
		s, cut = strings.ToValidUTF8(s[:limit], ""), "..."
	}
	odd := func(c rune) bool { return !unicode.IsGraphic(c) || c == ' ' || c == ',' || c == '"' }
	if s == "" || strings.ContainsFunc(s, odd) {
		s = strconv.Quote(s)
	}
	return s + cut
}

// safe replaces what would move a terminal's cursor or turn its text around:
// documents, requests and servers may hold anything.
func safe(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || unicode.IsGraphic(c) {
			return c
		}
		return utf8.RuneError
	}, s)
}

// rules adds the rules that a request was held against.
func (p *page) rules(checks []balancer.RuleCheck) {
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
		p.fold(lead, why)
		label = ""
	}
}

// slot adds the slot of a split and where it comes from.
func (p *page) slot(r *request, dec *balancer.Decision, rule *config.Rule) {
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
		key, _ := rule.Sticky.Value(r, r.caller)
		from = fmt.Sprintf("hashed from %s %s with salt %s", rule.Sticky, strconv.Quote(key), plain(rule.Salt))
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
func (p *page) steps(steps []balancer.Step) {
	width := 0
	for _, s := range steps {
		width = max(width, len(s.What))
	}
	width = min(width, 40)
	label := "who"
	for _, s := range steps {
		lead := fmt.Sprintf("  %-8s%-*s %3d", label, width, s.What, len(s.Left))
		p.fold(lead+"  ", shortened(s.Left))
		label = ""
		if s.Note != "" {
			p.fold(fmt.Sprintf("  %-8s%-*s      ", label, width, ""), "not: "+s.Note)
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

// rule returns a rule by its name, nil if there is none.
func (ds *directors) rule(name string) *config.Rule {
	if ds.rules == nil || name == "" {
		return nil
	}
	i := slices.IndexFunc(ds.rules.Rules, func(r config.Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &ds.rules.Rules[i]
}

// outcome says who serves a request, and what its caller sees if nobody does.
func (ds *directors) outcome(r *request, x *balancer.Explanation) string {
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
		return ds.refused(r, x, by)
	}
	if name, asked := ds.asked(r, &x.Decision); asked && name != x.Decision.Target {
		by += fmt.Sprintf("; %.80q is no target", name)
	}
	return fmt.Sprintf("%s, %s", ds.where(&x.Decision, nil), by)
}

// asked returns the target that a request names itself, if a rule lets it.
func (ds *directors) asked(r *request, dec *balancer.Decision) (name string, ok bool) {
	rule := ds.rule(dec.Rule)
	switch {
	case rule != nil && rule.By != nil:
		return rule.By.Value(r, r.caller)
	case ds.rules == nil && dec.Via == balancer.ViaRule:
		return config.HeaderField(lane.HeaderVersion).Value(r, r.caller)
	}
	return "", false
}

// refused says why a request is refused, and what its caller sees.
func (ds *directors) refused(r *request, x *balancer.Explanation, by string) string {
	if errors.Is(x.Err, balancer.ErrUnknownTarget) {
		name, _ := ds.asked(r, &x.Decision)
		return fmt.Sprintf("refused, unknown_target %.80q, %s: the caller gets HTTP 400, gRPC InvalidArgument", name, by)
	}
	return fmt.Sprintf("refused, no_instance of %s, %s: the caller gets HTTP 503, gRPC Unavailable",
		ds.target(&x.Decision), by)
}

// where says where a request goes: the target that was chosen, and who serves in
// its place if that has nobody; or that it is refused.
func (ds *directors) where(dec *balancer.Decision, err error) string {
	if err != nil {
		return "refused: " + refusal(err)
	}
	target := ds.target(dec)
	standard := ds.target(&balancer.Decision{Target: ds.standard()})
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
func (ds *directors) target(dec *balancer.Decision) string {
	switch {
	case dec.Via == balancer.ViaLane:
		return "lane " + dec.Target
	case dec.Target == "":
		return "all versions" // no document and no default version
	}
	return dec.Target
}

// standard returns the name of the default.
func (ds *directors) standard() string {
	if ds.rules != nil {
		return ds.rules.Default
	}
	return ds.defaultVersion
}
