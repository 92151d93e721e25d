package balancer

import (
	"maps"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
)

// Options is what the consumer brings to a director.
type Options struct {
	// DefaultVersion is the version that serves where no document names a
	// default; "": every baseline instance does.
	DefaultVersion string
	// Policy picks instances where no document says how; Unset: Weighted. With Hash
	// the key comes from Decision.HashBy alone; without one a request is picked by
	// weight.
	Policy config.Policy
	// Caller holds the labels of this process, for the fields caller.*.
	Caller map[string]string
	// SlowStart is how long the weight of an instance that has just appeared takes
	// to grow from a tenth to the whole; 0: it does not. Those of a first list, and
	// of as long a time after it, do not either: a consumer that starts together
	// with its providers knows nothing about who is new.
	SlowStart time.Duration
	// Now is the time of the build in ns, on the clock of Pick.Now.
	Now int64
}

// Build makes a director of a service's rules (nil: no document was ever
// accepted), the global document (nil: none was) and a snapshot. It takes over
// from prev (nil: none) the endpoints of instances that are still there and the
// rotation of subsets and splits, so that an update disturbs neither.
func Build(rules *config.Rules, global *config.Global, snap *registry.Snapshot, o Options, prev *Director) *Director {
	b := builder{
		prev: prev,
		d: &Director{
			snapshot: snap, rules: rules, caller: o.Caller,
			endpoints: inheritEndpoints(snap, o, prev), begin: o.Now,
			targets:  map[string]*subset{},
			lanes:    map[string]laneSubset{},
			subsets:  map[string]*subset{},
			asked:    config.HeaderField(lane.HeaderVersion),
			rotation: &rotation{},
		},
		options: o, policy: o.Policy,
	}
	if prev != nil {
		b.d.rotation = prev.rotation
		if len(prev.endpoints) > 0 {
			b.d.begin = prev.begin
		}
	}
	b.d.there = sync.OnceValue(func() string { return census(snap) })
	name, all := o.DefaultVersion, o.DefaultVersion == ""
	if rules != nil {
		name, all = rules.Default, false
		if rules.Balance.Policy != config.Unset {
			b.policy, b.d.key = rules.Balance.Policy, rules.Balance.Key
		}
		var old *matcher
		if prev != nil {
			old = &prev.matcher
		}
		b.d.off, b.d.matcher = !rules.Enabled, newMatcher(rules.Rules, old)
	}
	b.lanes(global)
	b.targets(name)
	b.standard(name, all)
	b.guards()
	b.arms()
	b.cursors()
	b.d.timed, b.d.hashes = b.policy == config.Least, b.policy == config.Hash
	return b.d
}

type builder struct {
	d       *Director
	prev    *Director
	options Options
	policy  config.Policy
	fresh   []*subset // those that need a cursor
}

// open is what an instance must be even where its health does not count: enabled,
// of some weight, and not isolated.
func (d *Director) open(in *registry.Instance) bool {
	return in.Enabled && in.Weight > 0 && (d.rules == nil || !d.rules.Isolated(in.Addr))
}

// usable is section 3's: may be sent requests.
func (d *Director) usable(in *registry.Instance) bool { return in.Healthy && d.open(in) }

// baseline instances belong to no lane.
func baseline(in *registry.Instance) bool { return in.Metadata[registry.KeyLane] == "" }

// carries reports whether the instance has all of the labels.
func carries(in *registry.Instance, labels map[string]string) bool {
	for name, want := range labels {
		if got, ok := in.Label(name); !ok || got != want {
			return false
		}
	}
	return true
}

// Belongs reports whether the instance is one of the target with these labels,
// whatever its state: targets hold baseline instances, unless they name a lane.
func Belongs(in *registry.Instance, labels map[string]string) bool {
	_, named := labels[registry.KeyLane]
	return (named || baseline(in)) && carries(in, labels)
}

// lanes makes the subsets of the lanes that instances name, and of those that are
// declared.
func (b *builder) lanes(global *config.Global) {
	lanes, members := map[string]laneSubset{}, map[string][]int32{}
	for i, in := range b.d.snapshot.All() {
		if name := in.Metadata[registry.KeyLane]; lane.Valid(name) && b.d.usable(in) {
			lanes[name] = laneSubset{match: map[string]string{registry.KeyLane: name}}
			members[name] = append(members[name], int32(i)) //nolint:gosec // a list is far shorter
		}
	}
	if global != nil {
		matches := map[string]map[string]string{}
		for name, l := range global.Lanes {
			match := l.Match
			if match == nil {
				match = map[string]string{registry.KeyLane: name}
			} else {
				matches[name] = match
				delete(members, name)
			}
			lanes[name] = laneSubset{match: match, strict: l.Strict}
		}
		maps.Copy(members, b.sorted(matches, carries))
	}
	for name, l := range lanes {
		l.subset = b.subset("lane/"+name, members[name])
		b.d.lanes[name] = l
	}
}

// targets makes the subsets of all targets: the declared ones or, where nothing
// is declared, one for each version.
func (b *builder) targets(standard string) {
	members := map[string][]int32{}
	if r := b.d.rules; r != nil && r.Targets != nil {
		members = b.sorted(r.Targets, Belongs)
	} else {
		for i, in := range b.d.snapshot.All() {
			if v := in.Version(); b.d.usable(in) && baseline(in) && (config.ValidName(v) || v == standard && v != "") {
				members[v] = append(members[v], int32(i)) //nolint:gosec // a list is far shorter
			}
		}
	}
	for name, m := range members {
		if s := b.subset("target/"+name, m); s != nil {
			b.d.targets[name] = s
		}
	}
}

// sorted returns the usable instances of each of many sets of labels, in one pass
// over the list: an instance is held against those sets alone that name its value of
// one of their labels, the one that tells most of the sets apart.
func (b *builder) sorted(
	sets map[string]map[string]string, of func(*registry.Instance, map[string]string) bool,
) map[string][]int32 {
	values := map[string]map[string]struct{}{} // that the sets ask for, by label
	for _, labels := range sets {
		for label, v := range labels {
			if values[label] == nil {
				values[label] = map[string]struct{}{}
			}
			values[label][v] = struct{}{}
		}
	}
	keyed := map[string]map[string][]string{} // the names of sets by label and value
	for name, labels := range sets {
		key := ""
		for label := range labels {
			if n, most := len(values[label]), len(values[key]); n > most || n == most && label < key {
				key = label
			}
		}
		if keyed[key] == nil {
			keyed[key] = map[string][]string{}
		}
		keyed[key][labels[key]] = append(keyed[key][labels[key]], name)
	}
	members := make(map[string][]int32, len(sets))
	for i, in := range b.d.snapshot.All() {
		if !b.d.usable(in) {
			continue
		}
		for label, names := range keyed {
			v, _ := in.Label(label)
			for _, name := range names[v] {
				if of(in, sets[name]) {
					members[name] = append(members[name], int32(i)) //nolint:gosec // a list is far shorter
				}
			}
		}
	}
	return members
}

// standard makes the default, the named target or, if all, every baseline
// instance, and what serves in its place when it has nobody usable.
func (b *builder) standard(name string, all bool) {
	in := func(i *registry.Instance) bool { return Belongs(i, b.d.labels(name)) }
	if all {
		in = baseline
		m := b.d.which(func(i *registry.Instance) bool { return b.d.usable(i) && baseline(i) })
		b.d.standard = target{subset: b.subset("default", m)}
	} else {
		b.d.standard = target{name: name, subset: b.d.targets[name]}
	}
	if b.d.standard.subset != nil {
		return
	}
	b.d.panicked = b.subset("panic", b.d.which(func(i *registry.Instance) bool { return b.d.open(i) && in(i) }))
	if b.d.panicked == nil && b.d.rules != nil && b.d.rules.DegradeAny {
		b.d.anybody = b.subset("any", b.d.which(func(i *registry.Instance) bool { return b.d.usable(i) && baseline(i) }))
	}
}

// arms finds the targets of all rules.
func (b *builder) arms() {
	rules := b.d.matcher.rules
	b.d.arms = make([][]target, len(rules))
	for i := range rules {
		for _, arm := range rules[i].To {
			b.d.arms[i] = append(b.d.arms[i], b.d.target(arm.Target))
		}
	}
}

// labels returns the labels of the instances of a target.
func (d *Director) labels(name string) map[string]string {
	if d.rules != nil && d.rules.Targets != nil {
		return d.rules.Targets[name]
	}
	return map[string]string{registry.KeyVersion: name}
}

// which returns the indices of the instances that are ok.
func (d *Director) which(ok func(*registry.Instance) bool) []int32 {
	var m []int32
	for i, in := range d.snapshot.All() {
		if ok(in) {
			m = append(m, int32(i)) //nolint:gosec // a list is far shorter
		}
	}
	return m
}

// subset makes the subset of the given instances, as far as they are preferred;
// nil if there is none. The key says which subset of the previous director it goes
// on from.
func (b *builder) subset(key string, members []int32) *subset {
	if len(members) == 0 {
		return nil
	}
	s := &subset{}
	s.members = b.d.prefer(members, func(label string, kept []int32) {
		if kept == nil {
			s.skipped = append(s.skipped, label)
		}
	})
	members = s.members
	s.endpoints = make([]*Endpoint, len(members))
	weights, grown := make([]uint32, len(members)), make([]uint32, len(members))
	for i, m := range members {
		s.endpoints[i] = b.d.endpoints[m]
		weights[i] = b.d.snapshot.At(int(m)).Weight
		grown[i] = b.grown(weights[i], s.endpoints[i])
	}
	var old *subset
	if b.prev != nil {
		old = b.prev.subsets[key]
	}
	if old != nil {
		s.cursor, s.total = old.cursor, old.total
	} else {
		b.fresh = append(b.fresh, s)
	}
	s.weighted = newWeighted(grown)
	switch b.policy {
	case config.Least:
		s.least = make([]float64, len(grown))
		for i, w := range grown {
			s.least[i] = 1 / float64(w)
		}
	case config.Hash:
		var before *ring
		if old != nil {
			before = old.ring
		}
		s.ring = newRing(s.endpoints, weights, grown, before)
		if s.total == nil || before == nil {
			s.total = &load{}
		}
	case config.Unset, config.Weighted:
	}
	b.d.subsets[key] = s
	return s
}

// minGrown is the part of its weight that an instance begins with.
const minGrown = 0.1

// grown returns the weight of an instance as far as its slow start has come.
func (b *builder) grown(weight uint32, e *Endpoint) uint32 {
	age := b.options.Now - e.since
	if e.since == 0 || age >= int64(b.options.SlowStart) {
		return weight
	}
	b.d.ramping = true
	part := max(minGrown, float64(age)/float64(b.options.SlowStart))
	return max(1, uint32(float64(weight)*part))
}

// cursors gives each new subset a cursor, at the places of those that have gone.
func (b *builder) cursors() {
	taken := map[int]bool{}
	for _, s := range b.d.subsets {
		if s.cursor != nil {
			taken[s.cursor.index] = true
		}
	}
	index := 0
	for _, s := range b.fresh {
		for taken[index] {
			index++
		}
		s.cursor = newCursor(index)
		index++
	}
}

// inheritEndpoints returns the endpoints of a snapshot's instances: those that
// prev has, by ID, and new ones for the rest. A process that was started again at the
// same address is a new one: what the old one did says nothing about it. Both lists
// are sorted by ID.
func inheritEndpoints(snap *registry.Snapshot, o Options, prev *Director) []*Endpoint {
	var old []*Endpoint
	since := int64(0)
	if prev != nil && len(prev.endpoints) > 0 {
		old = prev.endpoints
		if o.Now-prev.begin >= int64(o.SlowStart) {
			since = o.Now
		}
	}
	out := make([]*Endpoint, snap.Len())
	for i, in := range snap.All() {
		for len(old) > 0 && old[0].id < in.ID {
			old = old[1:]
		}
		boot := in.Metadata[registry.KeyBoot]
		if len(old) > 0 && old[0].id == in.ID && old[0].addr == in.Addr && old[0].boot == boot {
			out[i] = old[0]
			continue
		}
		out[i] = &Endpoint{id: in.ID, addr: in.Addr, boot: boot, since: since}
	}
	return out
}
