package config

import "slices"

// MaxRules is the number of rules of a document; one with more is refused.
const MaxRules = 200

// ParseRules reads the rule document of a service. File names the document in
// the problems; service is whose document it is.
//
// All problems are returned at once, in the order of their places. If one of
// them is an error the document is refused and the rules are nil; otherwise
// Problems.Err is nil and what is left are warnings. Any content ends in bounded
// time without a panic. ParseRules keeps no reference to content.
func ParseRules(file, service string, content []byte) (*Rules, Problems) {
	r := &reader{file: file, service: service}
	rules := r.document(r.load(content))
	r.problems.sort()
	if r.problems.Err() != nil {
		return nil, r.problems
	}
	rules.MD5 = digest(content)
	return rules, r.problems
}

// document reads the root; nil means that a problem was reported.
func (r *reader) document(root *node) *Rules {
	if root == nil || !r.want(root, mapping) {
		return nil
	}
	if v := root.get("gray"); v != nil && v.kind != refused && (v.kind != scalar || v.text != "v1") {
		// What a newer version means by the rest is not ours to judge.
		r.problems = nil
		r.errorf(v.place, codeUnsupportedVersion, "this version reads v1 only")
		return nil
	}
	d := draft{Rules: Rules{Service: r.service, Enabled: true}, anyTarget: true}
	readFields(r, root, documentFields(), &d)
	return &d.Rules
}

// draft is a document that is being read.
type draft struct {
	Rules
	// anyTarget: which targets are declared is not known, since none are or
	// since what declares them was refused.
	anyTarget bool
}

// documentFields: targets and default stand before what refers to them.
func documentFields() []field[draft] {
	return []field[draft]{
		{name: "gray", required: true, read: func(*reader, *node, *draft) {}}, // see document
		{name: "service", read: (*reader).serviceName},
		{name: "enabled", read: func(r *reader, n *node, d *draft) { d.Enabled = r.boolean(n) }},
		{name: "targets", read: (*reader).targets},
		{name: "default", required: true, read: func(r *reader, n *node, d *draft) { d.Default, _ = r.target(n, d) }},
		{name: "rules", read: (*reader).rules},
		{name: "balance", read: (*reader).balance},
		{name: "needs", read: (*reader).needs},
		{name: "isolate"},
		{name: "prefer"},
		{name: "prefer_min"},
		{name: "degrade"},
		{name: "guard"},
		{name: "limits"},
	}
}

func (r *reader) serviceName(n *node, _ *draft) {
	if s, ok := r.str(n); ok && s != r.service {
		r.errorf(n.place, codeWrongService, "the document is for %s, and is read for %q", quote(s), r.service)
	}
}

func (r *reader) targets(n *node, d *draft) {
	if !r.want(n, mapping) {
		return
	}
	if len(n.pairs) == 0 {
		r.errorf(n.place, codeBadValue, "no target; leave targets out, and a target's name is a version")
		return
	}
	d.Targets = make(map[string]map[string]string, len(n.pairs))
	d.anyTarget = false
	for _, p := range n.pairs {
		labels := r.labels(p.value)
		if name, ok := r.name(p.key, ValidName); ok {
			d.Targets[name] = labels
		} else {
			d.anyTarget = true
		}
	}
}

func (r *reader) labels(n *node) map[string]string {
	if !r.want(n, mapping) {
		return nil
	}
	if len(n.pairs) == 0 {
		r.errorf(n.place, codeBadValue, "no label; a target is the instances that carry all of its labels")
	}
	labels := make(map[string]string, len(n.pairs))
	for _, p := range n.pairs {
		name, ok := r.name(p.key, labelName)
		if value, filled := r.filled(p.value); ok && filled {
			labels[name] = value
		}
	}
	return labels
}

// target reads the name of a target.
func (r *reader) target(n *node, d *draft) (string, bool) {
	s, ok := r.name(n, ValidName)
	if !ok || d.anyTarget {
		return s, ok
	}
	if _, declared := d.Targets[s]; !declared {
		r.errorf(n.place, codeUnknownTarget, "no target %q is declared", s)
		return "", false
	}
	return s, true
}

func (r *reader) balance(n *node, d *draft) {
	key := n.get("hash")
	switch {
	case n.kind == scalar && n.text == "weighted":
		d.Balance.Policy = Weighted
	case n.kind == scalar && n.text == "least":
		d.Balance.Policy = Least
	case len(n.pairs) == 1 && key != nil && key.kind == refused:
	case len(n.pairs) == 1 && key != nil && key.kind == scalar:
		d.Balance = Balance{Policy: Hash, Key: r.field(key)}
	default:
		r.errorf(n.place, codeBadValue, "not weighted, least or {hash: FIELD}")
	}
}

// needs reads the features that a reader must know. This version knows none.
func (r *reader) needs(n *node, _ *draft) {
	if !r.want(n, list) {
		return
	}
	for _, item := range n.items {
		if name, ok := r.name(item, ValidName); ok {
			r.errorf(item.place, codeUnsupportedNeed, "this version does not know %q", name)
		}
	}
}

func (r *reader) rules(n *node, d *draft) {
	if !r.want(n, list) {
		return
	}
	seen := make(map[string]place)
	var all *Rule // the first that leaves nothing for the rules after it
	for i, item := range n.items {
		if i == MaxRules {
			r.errorf(item.start(), codeTooManyRules, "%d rules, at most %d are read", len(n.items), MaxRules)
			break
		}
		if !r.want(item, mapping) {
			continue
		}
		rule := r.rule(item, d)
		if first, ok := seen[rule.Name]; ok {
			r.errorf(item.start(), codeDuplicateRule, "a rule %q stands at line %d already", rule.Name, first.line)
		} else if rule.Name != "" {
			seen[rule.Name] = item.start()
		}
		if all != nil {
			r.warnf(item.start(), codeUnreachable, "rule %q before this one takes everything", all.Name)
		} else if unconditional(item, rule) {
			all = rule
		}
		d.Rules.Rules = append(d.Rules.Rules, *rule)
	}
}

// unconditional reports whether a rule matches every request.
func unconditional(n *node, rule *Rule) bool {
	return rule.Enabled && len(rule.To) > 0 && !rule.Split &&
		n.get("by") == nil && n.get("when") == nil && n.get("unless") == nil
}

// ruleDraft is a rule that is being read.
type ruleDraft struct {
	Rule
	doc    *draft
	beside int // the number of arms beside the default's, with those that were refused
}

func ruleFields() []field[ruleDraft] {
	return []field[ruleDraft]{
		{name: "name", required: true, read: func(r *reader, n *node, d *ruleDraft) { d.Name, _ = r.name(n, ValidName) }},
		{name: "enabled", read: func(r *reader, n *node, d *ruleDraft) { d.Enabled = r.boolean(n) }},
		{name: "when", read: func(r *reader, n *node, d *ruleDraft) { d.When.when = r.condition(n) }},
		{name: "unless", read: func(r *reader, n *node, d *ruleDraft) { d.When.unless = r.condition(n) }},
		{name: "to", read: (*reader).to},
		{name: "by", read: func(r *reader, n *node, d *ruleDraft) { d.By = r.field(n) }},
		{name: "sticky", read: func(r *reader, n *node, d *ruleDraft) { d.Sticky = r.field(n) }},
		{name: "salt", read: func(r *reader, n *node, d *ruleDraft) { d.Salt, _ = r.filled(n) }},
		{name: "missing", read: func(r *reader, n *node, d *ruleDraft) { d.Strict = r.word(n, "default", "fail") == 1 }},
	}
}

func (r *reader) rule(n *node, doc *draft) *Rule {
	d := ruleDraft{Rule: Rule{Enabled: true}, doc: doc}
	readFields(r, n, ruleFields(), &d)

	to, by, sticky := n.get("to"), n.get("by"), n.get("sticky")
	if (to == nil) == (by == nil) {
		r.errorf(n.start(), codeToOrBy, "a rule has one of the fields to and by")
	}
	switch {
	case d.Sticky == nil:
	case to == nil || to.kind == scalar || to.kind == list:
		r.errorf(sticky.place, codeStickyWithoutSplit, "sticky belongs to a to with percents")
	case d.Sticky.unstable():
		r.warnf(sticky.place, codeUnstableSticky, "%s seldom has the same value in a user's next request", quote(sticky.text))
	}
	if d.Split {
		key, _ := n.find("to")
		r.arrange(key.place, sticky != nil, &d)
	}
	if d.Salt == "" {
		d.Salt = r.service + "/" + d.Name
	}
	return &d.Rule
}

// unstable reports whether a field seldom has the same value in a user's next
// request.
func (f *Field) unstable() bool {
	if f.kind == fieldHeader {
		return slices.Contains([]string{"x-request-id", "x-trace-id", "traceparent", "x-forwarded-for", "x-real-ip"}, f.header.Lower)
	}
	return f.kind == fieldPath || f.kind == fieldMethod
}
