package config

import (
	"regexp"
	"strconv"
)

// Switches is a switch document that was accepted. It is immutable.
type Switches struct {
	// MD5 is the digest of the document: its revision.
	MD5 string

	byName map[string]*Switch
}

// Switch is a feature switch: a value, and rules by which some requests get
// another one.
type Switch struct {
	value Value
	rules []switchRule
}

type switchRule struct {
	Rule  // with one arm, from slot 0 on, if Split
	value Value
}

// Lookup returns the switch of a name, nil if there is none.
func (s *Switches) Lookup(name string) *Switch {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// Value returns the switch's value for a request: that of the first rule whose
// condition holds and, where it has a share, whose share the request is in, or
// else the switch's own.
func (s *Switch) Value(r Request, caller map[string]string) Value {
	l := NewLookup(r, caller)
	for i := range s.rules {
		rule := &s.rules[i]
		if rule.Enabled && rule.When.Holds(&l) && rule.in(&l) {
			return rule.value
		}
	}
	return s.value
}

// in reports whether the request is in the rule's share.
func (r *switchRule) in(l *Lookup) bool {
	if !r.Split {
		return true
	}
	key, ok := l.Value(r.Sticky)
	if !ok {
		return false
	}
	return r.Arm(Slot(r.Salt, key)) >= 0
}

// Value is the value of a switch: a bool, a number or a string.
type Value struct {
	kind  valueKind
	text  string // of a string
	float float64
	int   int64
	whole bool // int is the number
	bool  bool
}

type valueKind uint8

const (
	noValue valueKind = iota
	boolValue
	numberValue
	stringValue
)

// String names the kind in messages.
func (k valueKind) String() string {
	return [...]string{"nothing", "a bool", "a number", "a string"}[k&3]
}

// Bool returns the value, false if it is no bool.
func (v Value) Bool() (value, ok bool) { return v.bool, v.kind == boolValue }

// Int returns the value, false if it is no whole number of 64 bits.
func (v Value) Int() (value int64, ok bool) { return v.int, v.kind == numberValue && v.whole }

// Float returns the value, false if it is no number.
func (v Value) Float() (value float64, ok bool) { return v.float, v.kind == numberValue }

// Text returns the value, false if it is no string.
func (v Value) Text() (value string, ok bool) { return v.text, v.kind == stringValue }

// ParseSwitches reads a switch document, as ParseRules reads a service's rules.
func ParseSwitches(file string, content []byte) (*Switches, Problems) {
	r := &reader{file: file}
	s := Switches{}
	if root := r.root(content); root != nil {
		readFields(r, root, free, []field[Switches]{
			version[Switches](),
			{name: "switches", required: true, read: (*reader).switches},
		}, &s)
	}
	if r.accepted() {
		s.MD5 = digest(content)
	}
	return finish(r, &s)
}

func (r *reader) switches(n *node, s *Switches) {
	if !r.want(n, mapping) {
		return
	}
	s.byName = make(map[string]*Switch, len(n.pairs))
	for _, p := range n.pairs {
		name, _ := r.name(p.key, ValidName)
		if r.want(p.value, mapping) {
			s.byName[name] = r.switched(name, p.value)
		}
	}
}

func (r *reader) switched(name string, n *node) *Switch {
	s := &Switch{}
	readFields(r, n, closed, []field[Switch]{
		{name: "value", required: true, read: func(r *reader, n *node, s *Switch) { s.value = r.value(n) }},
		{name: "rules", read: func(r *reader, n *node, s *Switch) { r.switchRules(name, n, s) }},
	}, s)
	memorize(func(yield func(*Field) bool) {
		for i := range s.rules {
			for f := range s.rules[i].fields() {
				if !yield(f) {
					return
				}
			}
		}
	})
	return s
}

func (r *reader) switchRules(name string, n *node, s *Switch) {
	fields := append(ruleFields(),
		field[ruleDraft]{name: "share", read: func(r *reader, n *node, d *ruleDraft) {
			share, _ := r.percent(n)
			d.Split, d.To = true, []Arm{{To: share}}
		}},
		field[ruleDraft]{name: "value", required: true, read: func(r *reader, n *node, d *ruleDraft) {
			if d.value = r.value(n); d.value.kind != s.value.kind && d.value.kind != noValue && s.value.kind != noValue {
				r.errorf(n.place, codeWrongType, "%s; the switch's own value is %s", d.value.kind, s.value.kind)
			}
		}},
	)
	r.ruleList(n, fields, func() *ruleDraft { return &ruleDraft{} }, func(item *node, rule *ruleDraft) {
		share, sticky := item.get("share"), item.get("sticky")
		switch {
		case share != nil && sticky == nil:
			r.errorf(item.start(), codeMissingField, "a share needs %q: the FIELD that says who is in it", "sticky")
		case share == nil && sticky != nil:
			r.errorf(sticky.place, codeStickyWithoutSplit, "sticky belongs to a share, as share: 10%%")
		case rule.Sticky != nil:
			r.stable(sticky, rule.Sticky)
		}
		rule.salted(name)
		rule.all = share == nil
		s.rules = append(s.rules, switchRule{rule.Rule, rule.value})
	})
}

// decimals matches the numbers that every version of YAML reads alike.
var decimals = regexp.MustCompile(`\A[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?\z`)

// value reads the value of a switch.
func (r *reader) value(n *node) Value {
	switch {
	case n.boolean():
		return Value{kind: boolValue, bool: n.text == "true"}
	case n.kind == scalar && n.plain && decimals.MatchString(n.text):
		float, err := strconv.ParseFloat(n.text, 64)
		if err != nil {
			r.errorf(n.place, codeBadValue, "%s is beyond what a number can be", quote(n.text))
			return Value{}
		}
		v := Value{kind: numberValue, float: float}
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			v.int, v.whole = i, true
		}
		return v
	}
	text, ok := r.str(n)
	if !ok {
		return Value{}
	}
	return Value{kind: stringValue, text: text}
}
