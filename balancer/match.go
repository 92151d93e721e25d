package balancer

import "github.com/graylane/graylane/config"

// matcher finds the rule that a request matches, and the slot of a request in a
// split. It is immutable but for its walks.
type matcher struct {
	rules   []config.Rule
	walks   []*walk       // one for each rule; nil unless its slot is drawn
	salts   []config.Salt // one for each rule
	indexes []index
	rest    []rest // the enabled rules that are in no index, in order
}

// rest is a rule in no index. If field is set, the rule holds only where its value
// is want; alone says that this, or nothing at all, is all that the rule needs.
type rest struct {
	rule  int32
	alone bool
	field *config.Field
	want  string
}

// index finds, among the rules that hold only for certain values of one field,
// those that may hold for a value.
type index struct {
	field *config.Field
	rules map[string][]keyed // by value, in order
}

// keyed is a rule in an index. Alone says that the value is all that it needs.
type keyed struct {
	rule  int32
	alone bool
}

// minIndexed is how many rules on one field make an index worth its while: with
// fewer, to compare is cheaper than to look up.
const minIndexed = 4

// newMatcher returns a matcher that goes on with the walks of prev (nil: none)
// where the rule is the same: its salt says so.
func newMatcher(rules []config.Rule, prev *matcher) matcher {
	old := map[string]*walk{}
	if prev != nil {
		for i, w := range prev.walks {
			if w != nil {
				old[prev.rules[i].Salt] = w
			}
		}
	}
	m := matcher{rules: rules, walks: make([]*walk, len(rules)), salts: make([]config.Salt, len(rules))}
	for i := range rules {
		m.salts[i] = config.NewSalt(rules[i].Salt)
		if !rules[i].Split || rules[i].Sticky != nil {
			continue
		}
		if m.walks[i] = old[rules[i].Salt]; m.walks[i] == nil {
			m.walks[i] = newWalk()
		}
		delete(old, rules[i].Salt) // two rules may share a salt, but not a walk
	}
	m.index()
	return m
}

// index sorts the enabled rules into indexes, as far as that is worth its while.
func (m *matcher) index() {
	count := map[string]int{}
	for i := range m.rules {
		if f, _, _ := m.rules[i].When.Needs(); f != nil && m.rules[i].Enabled {
			count[f.String()]++
		}
	}
	at := map[string]int{}
	for i := range m.rules {
		if !m.rules[i].Enabled {
			continue
		}
		rule := int32(i)
		f, values, alone := m.rules[i].When.Needs()
		alone = alone && m.rules[i].By == nil
		if f == nil || count[f.String()] < minIndexed {
			r := rest{rule: rule, alone: m.rules[i].When.Always() && m.rules[i].By == nil}
			if len(values) == 1 {
				r.field, r.want, r.alone = f, values[0], alone
			}
			m.rest = append(m.rest, r)
			continue
		}
		k, ok := at[f.String()]
		if !ok {
			k = len(m.indexes)
			at[f.String()] = k
			m.indexes = append(m.indexes, index{f, map[string][]keyed{}})
		}
		for _, v := range values {
			m.indexes[k].rules[v] = append(m.indexes[k].rules[v], keyed{rule, alone})
		}
	}
}

// match returns the first rule that is enabled, whose condition holds, and whose
// field is there if it goes by one; -1 if there is none.
func (m *matcher) match(l *config.Lookup) int {
	first := int32(len(m.rules)) //nolint:gosec // at most config.MaxRules
	for k := range m.indexes {
		value, ok := l.Once(m.indexes[k].field)
		if !ok {
			continue
		}
		for _, r := range m.indexes[k].rules[value] {
			if r.rule >= first {
				break
			}
			if r.alone || m.matches(r.rule, l) {
				first = r.rule
				break
			}
		}
	}
	for i := range m.rest {
		r := &m.rest[i]
		if r.rule >= first {
			break
		}
		if r.field != nil {
			if value, ok := l.Value(r.field); !ok || value != r.want {
				continue
			}
		}
		if r.alone || m.matches(r.rule, l) {
			return int(r.rule)
		}
	}
	if int(first) == len(m.rules) {
		return -1
	}
	return int(first)
}

// matches reports whether an enabled rule matches.
func (m *matcher) matches(i int32, l *config.Lookup) bool {
	rule := &m.rules[i]
	if !rule.When.Holds(l) {
		return false
	}
	if rule.By == nil {
		return true
	}
	_, ok := l.Value(rule.By)
	return ok
}

// slot returns the slot of a request in split rule i, given (-1: none) if it was
// drawn before; -1 if the sticky field is absent: the default then, never a
// random slot.
func (m *matcher) slot(i int, l *config.Lookup, given int) int {
	rule := &m.rules[i]
	switch {
	case rule.Sticky != nil:
		key, ok := l.Once(rule.Sticky)
		if !ok {
			return -1
		}
		return m.salts[i].Slot(key)
	case given >= 0:
		return given
	}
	return m.walks[i].next()
}
