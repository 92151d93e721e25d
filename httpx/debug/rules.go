package debug

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/resolver"
)

// fact is a name and what there is to say of it.
type fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// ways are where a rule, a lane or the default leads to: as it is configured, and as
// it was in the last minute.
type ways struct {
	Rule    string `json:"rule"` // "" for what is no rule
	Via     string `json:"via"`
	Enabled bool   `json:"enabled"`
	When    string `json:"when"`             // "" for every request
	Split   string `json:"split,omitempty"`  // how the slot is found
	By      string `json:"by,omitempty"`     // the field whose value is the target
	Strict  bool   `json:"strict,omitempty"` // missing: fail
	Picks   uint64 `json:"picks"`            // first attempts
	Fell    uint64 `json:"fell_back"`        // of them
	Arms    []arm  `json:"arms"`             // configured, or used
	Fixed   bool   `json:"configured_known"` // the arms' Configured say something
}

// arm is one target of ways.
type arm struct {
	Target     string  `json:"target"` // "" for several, or for all versions
	Configured float64 `json:"configured"`
	Actual     float64 `json:"actual"`
	Picks      uint64  `json:"picks"`
	Color      int     `json:"-"`
}

// ways returns where requests of a view go.
func (v *view) ways(s *resolver.State, slot uint32) []ways {
	t := v.table.Load()
	if t == nil {
		return []ways{}
	}
	out := []ways{}
	if w := t.ways(balancer.ViaLane, "", slot); w.Picks > 0 {
		w.When = "the request is in a lane that has instances here"
		out = append(out, w)
	}
	switch {
	case s.Rules == nil:
		w := t.ways(balancer.ViaRule, "", slot)
		w.When = "there is no document, and header x-gray-version names a target"
		if w.Picks > 0 {
			out = append(out, w)
		}
	case !s.Rules.Enabled:
		out = append(out, t.fixed(balancer.ViaOff, "the document says enabled: false", slot))
		return out
	default:
		for i := range s.Rules.Rules {
			out = append(out, t.rule(&s.Rules.Rules[i], slot))
		}
	}
	return append(out, t.fixed(balancer.ViaDefault, "no rule claims the request", slot))
}

// ways returns the ways that were gone.
func (t *table) ways(via balancer.Via, rule string, slot uint32) ways {
	w := ways{Rule: rule, Via: via.String(), Enabled: true, Arms: []arm{}}
	for k, r := range t.routes {
		if k.via != via || k.rule != rule {
			continue
		}
		if n := r.picks.sum(slot); n > 0 {
			w.Arms = append(w.Arms, arm{Target: k.target, Picks: n})
			w.Picks += n
			w.Fell += r.fell.sum(slot)
		}
	}
	t.finish(&w)
	return w
}

// fixed is ways to the default alone.
func (t *table) fixed(via balancer.Via, when string, slot uint32) ways {
	w := t.ways(via, "", slot)
	w.When = when
	w.configure(map[string]float64{t.standard: 1})
	t.finish(&w)
	return w
}

func (t *table) rule(r *config.Rule, slot uint32) ways {
	w := t.ways(balancer.ViaRule, r.Name, slot)
	w.Enabled, w.When, w.Strict = r.Enabled, r.When.String(), r.Strict
	if r.By != nil {
		w.By = r.By.String()
		return w
	}
	shares, rest := map[string]float64{}, 1.0
	for _, a := range r.To {
		share := float64(a.To-a.From) / config.Slots
		shares[a.Target] += share
		rest -= share
	}
	if r.Split {
		w.Split = "drawn for each request"
		if r.Sticky != nil {
			w.Split = fmt.Sprintf("by %s, salt %s", r.Sticky, r.Salt)
		}
		if rest > 1e-9 {
			shares[t.standard] += rest
		}
	}
	w.configure(shares)
	t.finish(&w)
	return w
}

// configure adds the shares that are configured.
func (w *ways) configure(shares map[string]float64) {
	w.Fixed = true
	for _, target := range slices.Sorted(maps.Keys(shares)) {
		i := slices.IndexFunc(w.Arms, func(a arm) bool { return a.Target == target })
		if i < 0 {
			i = len(w.Arms)
			w.Arms = append(w.Arms, arm{Target: target})
		}
		w.Arms[i].Configured = shares[target]
	}
}

// colors is how many colors there are for targets beside the default's.
const colors = 5

// finish puts the arms in order, and gives each its share and its color: the same
// target has the same color in all rules.
func (t *table) finish(w *ways) {
	slices.SortFunc(w.Arms, func(a, b arm) int {
		if (a.Target == t.standard) != (b.Target == t.standard) {
			return map[bool]int{true: 1, false: -1}[a.Target == t.standard] // the rest comes last
		}
		return strings.Compare(a.Target, b.Target)
	})
	targets := t.targets()
	for i := range w.Arms {
		a := &w.Arms[i]
		if w.Picks > 0 {
			a.Actual = float64(a.Picks) / float64(w.Picks)
		}
		if a.Target != t.standard {
			j, _ := slices.BinarySearch(targets, a.Target)
			a.Color = 1 + j%colors
		}
	}
}

// targets returns the targets that rules lead to beside the default, sorted.
func (t *table) targets() []string {
	var out []string
	for k := range t.routes {
		if k.via == balancer.ViaRule && k.target != t.standard && k.target != "" {
			out = append(out, k.target)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// policyOf returns what a document says beside its rules.
func policyOf(r *config.Rules) []fact {
	out := []fact{}
	if r == nil {
		return out
	}
	add := func(name, format string, args ...any) { out = append(out, fact{name, fmt.Sprintf(format, args...)}) }
	add("default", "%s", r.Default)
	for _, name := range slices.Sorted(maps.Keys(r.Targets)) {
		add("target "+name, "%s", labelText(r.Targets[name]))
	}
	if len(r.Isolate) > 0 {
		var addrs []string
		for addr := range r.Isolate {
			addrs = append(addrs, addr.String())
		}
		slices.Sort(addrs)
		add("isolate", "%s", strings.Join(addrs, " "))
	}
	if len(r.Prefer) > 0 {
		least := ""
		if r.PreferMin > 0 {
			least = fmt.Sprintf(", while at least %s of the weight is left", percent(float64(r.PreferMin)/config.Slots))
		}
		add("prefer", "%s%s", strings.Join(r.Prefer, ", then "), least)
	}
	if r.DegradeAny {
		add("degrade", "any: when the default has nobody, any instance")
	}
	if g := r.Guard; g != nil {
		add("guard", "%s", guardText(g))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		add("limits of "+name, "%s", limitText(r.Limits[name]))
	}
	switch b := r.Balance; {
	case b.Key != nil:
		add("balance", "%s of %s", b.Policy, b.Key)
	case b.Policy != config.Unset:
		add("balance", "%s", b.Policy)
	}
	return out
}

func labelText(labels map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, name+"="+labels[name])
	}
	return strings.Join(out, " ")
}

func guardText(g *config.Guard) string {
	var out []string
	if g.Errors >= 0 {
		out = append(out, fmt.Sprintf("more than %s errors over %s, of at least %d requests", percent(float64(g.Errors)/config.Slots), g.Over, g.Min))
	}
	if g.Failures > 0 {
		out = append(out, fmt.Sprintf("%d failures in a row", g.Failures))
	}
	return strings.Join(out, ", or ") + fmt.Sprintf(": withdrawn for %s", g.Hold)
}

func limitText(l config.Limit) string {
	var out []string
	if l.Timeout > 0 {
		out = append(out, "timeout "+l.Timeout.String())
	}
	if l.Retries >= 0 {
		out = append(out, fmt.Sprintf("retries %d", l.Retries))
	}
	return strings.Join(out, ", ")
}

// percent returns a share with as many decimals as rules have.
func percent(share float64) string {
	text := strings.TrimRight(fmt.Sprintf("%.2f", 100*share), "0")
	return strings.TrimSuffix(text, ".") + " %"
}
