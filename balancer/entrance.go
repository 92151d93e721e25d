package balancer

import "github.com/graylane/graylane/config"

// Entrance puts requests into lanes, by the rules of a global document. It is
// immutable but for its counters; any number of goroutines may use it.
type Entrance struct {
	matcher matcher
	caller  map[string]string
}

// NewEntrance returns the entrance of a global document (nil: it puts nobody into
// a lane). Caller holds the labels of this process. Splits that prev (nil: none)
// had already go on with its walks.
func NewEntrance(g *config.Global, caller map[string]string, prev *Entrance) *Entrance {
	e := &Entrance{caller: caller}
	var old *matcher
	if prev != nil {
		old = &prev.matcher
	}
	if g != nil {
		e.matcher = newMatcher(g.Enter, old)
	}
	return e
}

// Lane returns the lane that a request enters, "" for none.
func (e *Entrance) Lane(req config.Request) string {
	l := config.NewLookup(req, e.caller)
	i := e.matcher.match(&l)
	if i < 0 {
		return ""
	}
	rule := &e.matcher.rules[i]
	if !rule.Split {
		return rule.To[0].Target
	}
	if slot := e.matcher.slot(i, &l, -1); slot >= 0 {
		if arm := rule.Arm(slot); arm >= 0 {
			return rule.To[arm].Target
		}
	}
	return ""
}
