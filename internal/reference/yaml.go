package reference

import (
	"fmt"
	"strconv"
)

// Style chooses among the ways to write the same document down.
type Style struct {
	Flow   bool // one line of JSON instead of block YAML
	Single bool // single quotes where they can be, not in JSON
	Long   bool // defaults are written out, single values are lists
}

// The text of a document is made in two steps: a tree of these, and a scalar
// each; then the tree is written.
type (
	mapping []entry
	list    []any
	word    string // a word of the language; plain in YAML
	literal string // a bool or a number; plain everywhere
	entry   struct{ key, value any }
)

// YAML returns the document as the library reads it. All strings are quoted, so
// that no peculiarity of plain scalars stands between the two.
func (d *Document) YAML() string {
	s := d.Style
	m := mapping{{word("gray"), word("v1")}}
	if d.Service != "" {
		m = append(m, entry{word("service"), d.Service})
	}
	if d.Off || s.Long {
		m = append(m, enabled(d.Off))
	}
	if d.Targets != nil {
		targets := mapping{}
		for name, labels := range ordered(d.Targets, s.Long) {
			targets = append(targets, entry{name, s.labels(labels)})
		}
		m = append(m, entry{word("targets"), targets})
	}
	m = append(m, entry{word("default"), d.Default})
	if rules := s.rules(d.Rules); len(rules) > 0 || s.Long {
		m = append(m, entry{word("rules"), rules})
	}
	if len(d.Isolate) > 0 {
		m = append(m, entry{word("isolate"), texts(d.Isolate)})
	}
	if len(d.Prefer) > 0 || s.Long {
		m = append(m, entry{word("prefer"), texts(d.Prefer)})
	}
	if d.PreferMin > 0 || s.Long {
		m = append(m, entry{word("prefer_min"), s.percent(d.PreferMin)})
	}
	if d.DegradeAny {
		m = append(m, entry{word("degrade"), word("any")})
	} else if s.Long {
		m = append(m, entry{word("degrade"), word("fail")})
	}
	return s.write(m, d.Noise)
}

// YAML returns the global document as the library reads it.
func (g *Global) YAML() string {
	s := g.Style
	lanes := mapping{}
	for name, l := range ordered(g.Lanes, s.Long) {
		lane := mapping{}
		if l.Match != nil {
			lane = append(lane, entry{word("match"), s.labels(l.Match)})
		}
		if l.Fail {
			lane = append(lane, entry{word("missing"), word("fail")})
		} else if s.Long || l.Match == nil {
			lane = append(lane, entry{word("missing"), word("baseline")})
		}
		lanes = append(lanes, entry{name, lane})
	}
	m := mapping{{word("gray"), word("v1")}}
	if len(lanes) > 0 {
		m = append(m, entry{word("lanes"), lanes})
	}
	return s.write(m, nil)
}

func (s Style) rules(rules []Rule) list {
	out := list{}
	for i := range rules {
		out = append(out, s.rule(&rules[i]))
	}
	return out
}

func (s Style) rule(r *Rule) mapping {
	m := mapping{{word("name"), r.Name}}
	if r.Off || s.Long {
		m = append(m, enabled(r.Off))
	}
	if len(r.When) > 0 {
		m = append(m, entry{word("when"), s.condition(r.When)})
	}
	if len(r.Unless) > 0 {
		m = append(m, entry{word("unless"), s.condition(r.Unless)})
	}
	switch {
	case r.By != "":
		m = append(m, entry{word("by"), string(r.By)})
	case r.Arms != nil:
		arms := mapping{}
		for name, share := range ordered(r.Arms, s.Long) {
			arms = append(arms, entry{name, s.percent(share)})
		}
		m = append(m, entry{word("to"), arms})
	default:
		m = append(m, entry{word("to"), r.To})
	}
	if r.Sticky != "" {
		m = append(m, entry{word("sticky"), string(r.Sticky)})
	}
	if r.Salt != "" {
		m = append(m, entry{word("salt"), r.Salt})
	}
	if r.Fail {
		m = append(m, entry{word("missing"), word("fail")})
	} else if s.Long {
		m = append(m, entry{word("missing"), word("default")})
	}
	return m
}

func (s Style) condition(c Condition) any {
	var all list
	for _, tests := range c {
		m := mapping{}
		for field, test := range ordered(tests, s.Long) {
			m = append(m, entry{field, s.test(test)})
		}
		all = append(all, m)
	}
	if len(all) == 1 && !s.Long {
		return all[0]
	}
	return all
}

func (s Style) test(t Test) any {
	var values any = texts(t.Values)
	if len(t.Values) == 1 && (!s.Long || t.Kind == Prefix || t.Kind == Suffix || t.Kind == Regex) {
		values = t.Values[0]
	}
	switch t.Kind {
	case NotEqual:
		return mapping{{word("not"), values}}
	case Prefix:
		return mapping{{word("prefix"), values}}
	case Suffix:
		return mapping{{word("suffix"), values}}
	case Regex:
		return mapping{{word("regex"), values}}
	case Range:
		if s.Long {
			return mapping{{word("range"), values}}
		}
		return mapping{{word("range"), list{literal(t.Values[0]), literal(t.Values[1])}}}
	case Exists:
		return mapping{{word("exists"), literal("true")}}
	case Absent:
		return mapping{{word("exists"), literal("false")}}
	default: // Equal
		return values
	}
}

func (s Style) labels(labels map[string]string) mapping {
	m := mapping{}
	for name, v := range ordered(labels, s.Long) {
		m = append(m, entry{name, v})
	}
	return m
}

func (s Style) percent(share int) word {
	whole, rest := share/100, share%100
	switch {
	case rest == 0 && !s.Long:
		return word(fmt.Sprintf("%d%%", whole))
	case rest%10 == 0 && !s.Long:
		return word(fmt.Sprintf("%d.%d%%", whole, rest/10))
	default:
		return word(fmt.Sprintf("%d.%02d%%", whole, rest))
	}
}

func enabled(off bool) entry {
	return entry{word("enabled"), literal(strconv.FormatBool(!off))}
}

func texts(values []string) list {
	out := list{}
	for _, v := range values {
		out = append(out, v)
	}
	return out
}
