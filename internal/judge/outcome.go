package judge

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// maxValue is the length above which a value counts as absent.
const maxValue = 1024

// outcome is one way in which a request may end: at an instance whose labels
// hold, or refused. The outcomes of a request are a list; each comes true only if
// the ones before it have no instance.
type outcome struct {
	via, rule, target, fallback string
	slot                        int
	refusal                     string
	holds                       func(labels map[string]string) bool
}

// outcomes evaluates a document. Drawn is the slot that was drawn for the request,
// as its log says.
func outcomes(d *document, r *Request, drawn int) []outcome {
	if !d.enabled {
		return d.chain(outcome{via: "off", target: d.def, slot: -1}, false)
	}
	return append(laneOutcomes(r), d.ruleOutcomes(r, drawn)...)
}

// laneOutcomes: a request in a lane goes to the lane's instances, if there are.
func laneOutcomes(r *Request) []outcome {
	if !isName(r.Lane) {
		return nil
	}
	return []outcome{{via: "lane", target: r.Lane, slot: -1, holds: func(l map[string]string) bool { return l["lane"] == r.Lane }}}
}

// ruleOutcomes: the first rule that matches decides, else the default.
func (d *document) ruleOutcomes(r *Request, drawn int) []outcome {
	for i := range d.rules {
		rule := &d.rules[i]
		if !rule.enabled || !matches(rule.when, r) {
			continue
		}
		o := outcome{via: "rule", rule: rule.name, target: d.def, slot: -1}
		switch {
		case rule.by != "":
			asked, ok := value(rule.by, r)
			if !ok {
				continue // the rule needs the field
			}
			switch {
			case d.knows(asked):
				o.target = asked
			case rule.strict:
				o.target, o.refusal = "", UnknownTarget
				return []outcome{o}
			default:
				o.fallback = "default"
			}
		case rule.split:
			o.slot = slot(rule, r, drawn)
			for _, a := range rule.arms {
				if a.from <= o.slot && o.slot < a.to {
					o.target = a.target
				}
			}
		default:
			o.target = rule.to
		}
		return d.chain(o, rule.strict)
	}
	return d.chain(outcome{via: "default", target: d.def, slot: -1}, false)
}

// chain lists where the decision o may end.
func (d *document) chain(o outcome, strict bool) []outcome {
	o.holds = d.target(o.target)
	list := []outcome{o}
	if o.target != d.def {
		if strict {
			return append(list, refused(o))
		}
		o.holds, o.fallback = d.target(d.def), "default"
		list = append(list, o)
	}
	none := refused(o)
	o.fallback = "panic"
	return append(list, o, none)
}

func refused(o outcome) outcome {
	o.refusal, o.fallback, o.holds = NoInstance, "", nil
	return o
}

func (d *document) knows(name string) bool {
	if d.targets == nil {
		return isName(name)
	}
	_, ok := d.targets[name]
	return ok
}

func (d *document) target(name string) func(map[string]string) bool {
	if name == "" { // the open default
		return baseline
	}
	if d.targets == nil {
		return target(map[string]string{"version": name})
	}
	return target(d.targets[name])
}

// target holds for instances with all of the labels; unless these name a lane,
// the instance must be in none.
func target(want map[string]string) func(map[string]string) bool {
	return func(l map[string]string) bool {
		for k, v := range want {
			if got, ok := l[k]; !ok || got != v {
				return false
			}
		}
		_, lane := want["lane"]
		return lane || baseline(l)
	}
}

func baseline(l map[string]string) bool { return l["lane"] == "" }

// slot returns the slot of a split, -1 where the sticky field is absent.
func slot(r *rule, req *Request, drawn int) int {
	if r.sticky == "" {
		return drawn
	}
	key, ok := value(r.sticky, req)
	if !ok {
		return -1
	}
	return int(xxhash.Sum64String(r.salt+"\x00"+key) % slots)
}

// matches reports whether one of the maps holds.
func matches(when []map[string][]string, r *Request) bool {
	if when == nil {
		return true
	}
	return slices.ContainsFunc(when, func(tests map[string][]string) bool {
		for field, want := range tests {
			if got, ok := value(field, r); !ok || !slices.Contains(want, got) {
				return false
			}
		}
		return true
	})
}

// value returns a field of the request.
func value(field string, r *Request) (v string, ok bool) {
	switch {
	case field == "path":
		v, ok = r.Path, true
	case field == "method":
		v, ok = r.Method, true
	case field == "lane":
		v, ok = r.Lane, r.Lane != ""
	case field == "user" && r.User != "":
		v, ok = r.User, true
	case field == "user":
		v, ok = r.Headers["x-user-id"]
	default:
		v, ok = r.Headers[strings.ToLower(strings.TrimPrefix(field, "header."))]
	}
	return v, ok && len(v) <= maxValue
}

var name = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?\z`)

// isName is the grammar of the names of targets, rules and lanes.
func isName(s string) bool { return name.MatchString(s) }
