package config

import (
	"maps"
	"net/netip"
	"slices"
)

// ParseRules reads the rule document of a service. File names the document in
// the problems; service is whose document it is.
//
// All problems are returned at once, in the order of their places. If one of
// them is an error the document is refused and the rules are nil; otherwise
// Problems.Err is nil and what is left are warnings. Any content ends in bounded
// time without a panic. ParseRules keeps no reference to content.
func ParseRules(file, service string, content []byte) (*Rules, Problems) {
	return parseRules(&reader{file: file}, service, content)
}

func parseRules(r *reader, service string, content []byte) (*Rules, Problems) {
	d := draft{Rules: Rules{Service: service, Enabled: true}, anyTarget: true}
	if root := r.root(content); root != nil {
		readFields(r, root, free, documentFields(), &d)
	}
	if r.accepted() {
		d.MD5 = digest(content)
		memorize(ruleListFields(d.Rules.Rules))
	}
	return finish(r, &d.Rules)
}

// draft is a service document that is being read.
type draft struct {
	Rules
	// anyTarget: which targets are declared is not known, since none are or
	// since what declares them was refused.
	anyTarget bool
	names     []string        // the declared targets, sorted
	missed    map[string]bool // targets without an instance, which was said
}

// documentFields: targets and default stand before what refers to them.
func documentFields() []field[draft] {
	return []field[draft]{
		version[draft](),
		{name: "service", read: (*reader).serviceName},
		{name: "enabled", read: func(r *reader, n *node, d *draft) { d.Enabled = r.boolean(n) }},
		{name: "targets", read: (*reader).targets},
		{name: "default", required: true, read: func(r *reader, n *node, d *draft) { d.Default, _ = r.target(n, d) }},
		{name: "rules", read: (*reader).rules},
		{name: "isolate", read: (*reader).isolate},
		{name: "prefer", read: (*reader).prefer},
		{name: "prefer_min", read: func(r *reader, n *node, d *draft) { d.PreferMin, _ = r.percent(n) }},
		{name: "degrade", read: func(r *reader, n *node, d *draft) { d.DegradeAny = r.word(n, "fail", "any") == 1 }},
		{name: "guard", read: (*reader).guard},
		{name: "limits", read: (*reader).limits},
		{name: "balance", read: (*reader).balance},
		{name: "needs", read: (*reader).needs},
	}
}

func (r *reader) serviceName(n *node, d *draft) {
	if s, ok := r.str(n); ok && s != d.Service {
		r.errorf(n.place, codeWrongService, "the document is for %s, and is read for %s", quote(s), quote(d.Service))
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
			r.populated(p.key, name, labels, d)
		} else {
			d.anyTarget = true
		}
	}
	d.names = slices.Sorted(maps.Keys(d.Targets))
}

// populated warns about a target without instances, once.
func (r *reader) populated(n *node, name string, labels map[string]string, d *draft) {
	if r.there == nil || len(labels) == 0 || d.missed[name] || r.there(labels) {
		return
	}
	if d.missed == nil {
		d.missed = map[string]bool{}
	}
	d.missed[name] = true
	r.warnf(n.place, codeNoInstance, "no instance is of the target %q", name)
}

func (r *reader) labels(n *node) map[string]string {
	if !r.want(n, mapping) {
		return nil
	}
	if len(n.pairs) == 0 {
		r.errorf(n.place, codeBadValue, "no label; write those that its instances carry, as {version: v2}")
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
	if !ok {
		return s, false
	}
	if d.Targets == nil {
		r.populated(n, s, map[string]string{"version": s}, d)
	}
	if _, declared := d.Targets[s]; !declared && !d.anyTarget {
		r.errorf(n.place, codeUnknownTarget, "no target %q is declared%s", s, r.hint(s, slices.Values(d.names)))
		return "", false
	}
	return s, true
}

func (r *reader) isolate(n *node, d *draft) {
	if !r.want(n, list) {
		return
	}
	d.Isolate = make(map[netip.AddrPort]struct{})
	for _, item := range n.items {
		s, ok := r.str(item)
		if !ok {
			continue
		}
		addr, err := netip.ParseAddrPort(s)
		if err != nil || addr.Port() == 0 {
			r.errorf(item.place, codeBadAddress, "%s is no ip:port, as 10.0.0.7:8080 or [fd00::7]:8080", quote(s))
			continue
		}
		d.Isolate[addr] = struct{}{}
	}
}

func (r *reader) prefer(n *node, d *draft) {
	if !r.want(n, list) {
		return
	}
	seen := make(map[string]bool)
	for _, item := range n.items {
		name, ok := r.name(item, labelName)
		switch {
		case !ok:
		case seen[name]:
			r.errorf(item.place, codeBadValue, "%q stands in the list already", name)
		default:
			seen[name] = true
			d.Prefer = append(d.Prefer, name)
		}
	}
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
		r.errorf(n.place, codeBadValue, "not weighted, least or {hash: FIELD}%s", r.hint(n.text, slices.Values([]string{"weighted", "least"})))
	}
}

// Features returns what documents may need (`needs`) of the builds that read them, beyond
// the language's first version. This build knows none yet.
func Features() []string { return nil }

// needs reads the features that a reader must know.
func (r *reader) needs(n *node, _ *draft) {
	if !r.want(n, list) {
		return
	}
	for _, item := range n.items {
		if name, ok := r.name(item, ValidName); ok && !slices.Contains(Features(), name) {
			r.errorf(item.place, codeUnsupportedNeed, "this version does not know %q", name)
		}
	}
}

func (r *reader) rules(n *node, d *draft) {
	fields := slices.Concat(ruleFields(), []field[ruleDraft]{
		{name: "to", read: (*reader).to},
		{name: "by", read: func(r *reader, n *node, d *ruleDraft) { d.By = r.field(n) }},
		{name: "missing", read: func(r *reader, n *node, d *ruleDraft) { d.Strict = r.word(n, "default", "fail") == 1 }},
	})
	r.ruleList(n, fields, func() *ruleDraft { return &ruleDraft{doc: d} }, func(item *node, rule *ruleDraft) {
		to, by := item.get("to"), item.get("by")
		if (to == nil) == (by == nil) {
			r.errorf(item.start(), codeToOrBy, "a rule has one of the fields to and by")
		}
		rule.all = by == nil && len(rule.To) > 0 && !rule.Split
		r.split(item, "to", d.Service, rule)
		d.Rules.Rules = append(d.Rules.Rules, rule.Rule)
	})
}
