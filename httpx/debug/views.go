package debug

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// viewKey tells views apart.
type viewKey struct {
	service  registry.Service
	protocol string
}

// views are the views that have had a state and have not ended. A request finds its
// own without a lock: the map is replaced, never changed.
type views struct {
	mu  sync.Mutex // held while all is replaced; only Err of a view is called under it
	all atomic.Pointer[map[viewKey]*view]
}

// find returns the view of a call, nil before its first update.
func (vs *views) find(c *resolver.Call) *view {
	all := vs.all.Load()
	if all == nil {
		return nil
	}
	return (*all)[viewKey{c.Service(), c.Protocol()}]
}

// update takes a new state. A view that has ended may have a successor that was here
// before it.
func (vs *views) update(v *resolver.View, s *resolver.State) {
	key := viewKey{v.Service(), v.Protocol()}
	vs.mu.Lock()
	if v.Err() != nil {
		vs.mu.Unlock()
		return
	}
	all := vs.living()
	if all[key] == nil || all[key].View != v {
		all[key] = &view{View: v}
	}
	vs.all.Store(&all)
	vs.mu.Unlock()
	all[key].table.Store(newTable(s, all[key].table.Load())) // one update of a view at a time
}

// living returns those that have not ended; vs.mu is held.
func (vs *views) living() map[viewKey]*view {
	out := map[viewKey]*view{}
	if all := vs.all.Load(); all != nil {
		maps.Copy(out, *all)
	}
	maps.DeleteFunc(out, func(_ viewKey, v *view) bool { return v.Err() != nil })
	return out
}

// sorted returns the living views by service and protocol.
func (vs *views) sorted() []*view {
	vs.mu.Lock()
	all := vs.living()
	vs.all.Store(&all)
	vs.mu.Unlock()
	return slices.SortedFunc(maps.Values(all), func(a, b *view) int {
		return cmp.Or(cmp.Compare(a.Service().Name, b.Service().Name), cmp.Compare(a.String(), b.String()))
	})
}

// view is a view, and what its requests did.
type view struct {
	*resolver.View

	table    atomic.Pointer[table]
	refusals [words.Reasons]counter
}

// target returns a call's target if an instance or a document names it too, else "other":
// a request may have made it up. It neither locks nor allocates; a nil view knows none.
func (v *view) target(c *resolver.Call) string {
	name := c.Decision.Target
	if name == "" {
		return ""
	}
	if in := c.Instance(); in != nil && in.Version() == name {
		return name
	}
	if v != nil {
		if t := v.table.Load(); t != nil {
			if _, ok := t.names[name]; ok {
				return name
			}
		}
	}
	return words.Other.String()
}

// count counts a pick. It neither locks nor allocates.
func (v *view) count(c *resolver.Call, err error, slot uint32) {
	if err != nil {
		v.refusals[words.ReasonOf(err)].add(slot)
		return
	}
	t := v.table.Load()
	if t == nil {
		return
	}
	if n := t.instances[c.Instance().ID]; n != nil {
		n.add(slot)
	}
	if c.Attempt > 1 {
		return
	}
	if r := t.route(&c.Decision); r != nil {
		r.picks.add(slot)
		if c.Decision.Fallback != balancer.NoFallback {
			r.fell.add(slot)
		}
	}
}

// maxTargets is how many targets are counted apart where requests name them
// themselves, or are in lanes; more are counted together.
const maxTargets = 64

// routeKey is a way to a target: what chose it. Target "" stands for all that are not
// counted apart.
type routeKey struct {
	via          balancer.Via
	rule, target string
}

// route counts first attempts that went a way, and those of them that fell back.
type route struct {
	picks sharded
	fell  sharded
}

// table has a counter for whatever can be counted in one state.
type table struct {
	snapshot  *registry.Snapshot
	rules     *config.Rules
	standard  string              // the default's name
	names     map[string]struct{} // of targets that an instance or a document names
	instances map[string]*counter // by ID
	routes    map[routeKey]*route
}

// newTable makes a table for a state. What was counted before goes on.
func newTable(s *resolver.State, prev *table) *table {
	if prev == nil {
		prev = &table{}
	}
	t := &table{
		snapshot: s.Snapshot, rules: s.Rules, instances: prev.instances,
		standard: explain.NewDirector(s.Director, s.Rules).Default(),
	}
	if s.Snapshot != prev.snapshot {
		t.instances = make(map[string]*counter, s.Snapshot.Len())
		for _, in := range s.Snapshot.All() {
			if t.instances[in.ID] = prev.instances[in.ID]; t.instances[in.ID] == nil {
				t.instances[in.ID] = &counter{}
			}
		}
	}
	t.names = namesOf(s, t.standard)
	t.routes = map[routeKey]*route{}
	add := func(via balancer.Via, rule string, targets ...string) {
		for _, target := range targets {
			k := routeKey{via, rule, target}
			if t.routes[k] = prev.routes[k]; t.routes[k] == nil {
				t.routes[k] = &route{}
			}
		}
	}
	add(balancer.ViaDefault, "", t.standard)
	add(balancer.ViaOff, "", t.standard)
	add(balancer.ViaLane, "", append(lanes(s), "")...)
	named := append(named(s), t.standard, "")
	if s.Rules == nil {
		add(balancer.ViaRule, "", named...)
		return t
	}
	for i := range s.Rules.Rules {
		rule := &s.Rules.Rules[i]
		for _, arm := range rule.To {
			add(balancer.ViaRule, rule.Name, arm.Target)
		}
		if rule.By != nil {
			add(balancer.ViaRule, rule.Name, named...)
		} else {
			add(balancer.ViaRule, rule.Name, t.standard)
		}
	}
	return t
}

// namesOf returns the names that a state knows of targets: the default's, those that are
// declared or that rules lead to, versions of instances, and lanes.
func namesOf(s *resolver.State, standard string) map[string]struct{} {
	names := map[string]struct{}{standard: {}}
	for _, in := range s.Snapshot.All() {
		names[in.Version()] = struct{}{}
		names[in.Metadata[registry.KeyLane]] = struct{}{}
	}
	if s.Rules != nil {
		for name := range s.Rules.Targets {
			names[name] = struct{}{}
		}
		for i := range s.Rules.Rules {
			for _, arm := range s.Rules.Rules[i].To {
				names[arm.Target] = struct{}{}
			}
		}
	}
	if s.Global != nil {
		for name := range s.Global.Lanes {
			names[name] = struct{}{}
		}
	}
	return names
}

// route returns the counters of a decision.
func (t *table) route(d *balancer.Decision) *route {
	if r := t.routes[routeKey{d.Via, d.Rule, d.Target}]; r != nil {
		return r
	}
	return t.routes[routeKey{d.Via, d.Rule, ""}]
}

// named returns the targets that a request can name and that have somebody.
func named(s *resolver.State) []string {
	if s.Rules != nil && s.Rules.Targets != nil {
		return first(maps.Keys(s.Rules.Targets))
	}
	return labelled(s, registry.KeyVersion)
}

// labelled returns the values of a label of the instances.
func labelled(s *resolver.State, label string) []string {
	values := map[string]struct{}{}
	for _, in := range s.Snapshot.All() {
		if v, _ := in.Label(label); v != "" {
			values[v] = struct{}{}
		}
	}
	return first(maps.Keys(values))
}

// first returns the first maxTargets names.
func first(names iter.Seq[string]) []string {
	all := slices.Sorted(names)
	return all[:min(len(all), maxTargets)]
}

// lanes returns the lanes that are declared or have an instance.
func lanes(s *resolver.State) []string {
	out := labelled(s, registry.KeyLane)
	if s.Global != nil {
		out = append(out, first(maps.Keys(s.Global.Lanes))...)
	}
	return out
}
