package config

import (
	"iter"
	"slices"
)

// MaxRules is the number of rules of a list; one with more is refused.
const MaxRules = 200

// ruleDraft is a rule that is being read.
type ruleDraft struct {
	Rule
	doc    *draft // the service document; nil elsewhere
	beside int    // the number of arms beside the default's, with those that were refused
	all    bool   // the rule takes every request that its condition lets pass
	value  Value  // of a switch
}

// ruleFields are the fields of every kind of rule.
func ruleFields() []field[ruleDraft] {
	return []field[ruleDraft]{
		{name: "name", required: true, read: func(r *reader, n *node, d *ruleDraft) { d.Name, _ = r.name(n, ValidName) }},
		{name: "enabled", read: func(r *reader, n *node, d *ruleDraft) { d.Enabled = r.boolean(n) }},
		{name: "when", read: func(r *reader, n *node, d *ruleDraft) { d.When.when = r.condition(n) }},
		{name: "unless", read: func(r *reader, n *node, d *ruleDraft) { d.When.unless = r.condition(n) }},
		{name: "sticky", read: func(r *reader, n *node, d *ruleDraft) { d.Sticky = r.field(n) }},
		{name: "salt", read: func(r *reader, n *node, d *ruleDraft) { d.Salt, _ = r.filled(n) }},
	}
}

// ruleList reads a list of rules of one kind. Done completes each, which begins
// as fresh makes it.
func (r *reader) ruleList(n *node, fields []field[ruleDraft], fresh func() *ruleDraft, done func(*node, *ruleDraft)) {
	if !r.want(n, list) {
		return
	}
	seen := make(map[string]place)
	var all *ruleDraft // the first that leaves nothing for the rules after it
	for i, item := range n.items {
		if i == MaxRules {
			r.errorf(item.start(), codeTooManyRules, "%d rules, at most %d are read", len(n.items), MaxRules)
			break
		}
		if !r.want(item, mapping) {
			continue
		}
		rule := fresh()
		rule.Enabled = true
		readFields(r, item, free, fields, rule)
		done(item, rule)
		if first, ok := seen[rule.Name]; ok {
			r.errorf(item.start(), codeDuplicateRule, "a rule %q stands at line %d already", rule.Name, first.line)
		} else if rule.Name != "" {
			seen[rule.Name] = item.start()
		}
		if all != nil {
			r.warnf(item.start(), codeUnreachable, "rule %q before this one takes everything", all.Name)
		} else if rule.all && rule.Enabled && item.get("when") == nil && item.get("unless") == nil {
			all = rule
		}
	}
}

// split completes a rule whose targets stand at the field named at: a name, or
// arms. The owner begins the salt of rules that name none.
func (r *reader) split(n *node, at, owner string, d *ruleDraft) {
	key, to := n.find(at)
	sticky := n.get("sticky")
	if d.Sticky != nil {
		if to == nil || to.kind == scalar || to.kind == list {
			r.errorf(sticky.place, codeStickyWithoutSplit, "sticky belongs to percents, as %s: {v2: 10%%}", at)
		} else {
			r.stable(sticky, d.Sticky)
		}
	}
	if d.Split {
		r.arrange(key.place, sticky != nil, d)
	}
	d.salted(owner)
}

// salted gives a rule that names no salt that of its owner and name.
func (d *ruleDraft) salted(owner string) {
	if d.Salt == "" {
		d.Salt = owner + "/" + d.Name
	}
}

// stable warns about a field that seldom has the same value in a user's next
// request.
func (r *reader) stable(n *node, f *Field) {
	unstable := f.kind == fieldPath || f.kind == fieldMethod
	if f.kind == fieldHeader {
		unstable = slices.Contains([]string{"x-request-id", "x-trace-id", "traceparent", "x-forwarded-for", "x-real-ip"}, f.header.Lower)
	}
	if unstable {
		r.warnf(n.place, codeUnstableSticky, "%s seldom has the same value in a user's next request", quote(n.text))
	}
}

// fields returns the FIELDs that the rule may ask for.
func (r *Rule) fields() iter.Seq[*Field] {
	return func(yield func(*Field) bool) {
		for _, clauses := range [][]clause{r.When.when, r.When.unless} {
			for _, c := range clauses {
				for i := range c {
					if !yield(&c[i].field) {
						return
					}
				}
			}
		}
		for _, f := range []*Field{r.By, r.Sticky} {
			if f != nil && !yield(f) {
				return
			}
		}
	}
}
