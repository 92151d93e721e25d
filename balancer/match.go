package balancer

import "github.com/graylane/graylane/config"

// matcher finds the rule that a request matches, and the slot of a request in a
// split. It is immutable but for its walks.
type matcher struct {
	rules []config.Rule
	walks []*walk // one for each rule; nil unless its slot is drawn
}

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
	m := matcher{rules: rules, walks: make([]*walk, len(rules))}
	for i := range rules {
		if !rules[i].Split || rules[i].Sticky != nil {
			continue
		}
		if m.walks[i] = old[rules[i].Salt]; m.walks[i] == nil {
			m.walks[i] = newWalk()
		}
		delete(old, rules[i].Salt) // two rules may share a salt, but not a walk
	}
	return m
}

// match returns the first rule that is enabled, whose condition holds, and whose
// field is there if it goes by one; then asked is that field's value. It returns
// -1 if no rule matches.
func (m *matcher) match(l *config.Lookup) (i int, asked string) {
	for i := range m.rules {
		rule := &m.rules[i]
		if !rule.Enabled || !rule.When.Holds(l) {
			continue
		}
		if rule.By == nil {
			return i, ""
		}
		if asked, ok := l.Value(rule.By); ok {
			return i, asked
		}
	}
	return -1, ""
}

// slot returns the slot of a request in split rule i, given (-1: none) if it was
// drawn before; -1 if the sticky field is absent: the default then, never a
// random slot.
func (m *matcher) slot(i int, l *config.Lookup, given int) int {
	rule := &m.rules[i]
	switch {
	case rule.Sticky != nil:
		key, ok := l.Value(rule.Sticky)
		if !ok {
			return -1
		}
		return config.Slot(rule.Salt, key)
	case given >= 0:
		return given
	}
	return m.walks[i].next()
}
