package balancer

import (
	"slices"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Director decides, for every request, who gets it: section 3 of the rule
// language over one snapshot. It is immutable but for its counters; any number
// of goroutines may use it.
type Director struct {
	snapshot  *registry.Snapshot
	rules     *config.Rules // nil: no document
	off       bool          // `enabled: false`
	matcher   matcher       // the rules
	arms      [][]target    // of each rule, as in Rule.To
	caller    map[string]string
	endpoints []*Endpoint // one for each instance of the snapshot

	lanes    map[string]laneSubset // those that are declared or have somebody usable
	targets  map[string]*subset    // usable instances by target; without declared targets, by version
	guards   map[string]*guard     // of the targets but the default; nil: nothing is guarded
	standard target                // the default
	panicked *subset               // the default whatever its health; nil unless it has nobody usable
	anybody  *subset               // of `degrade: any`; nil unless the default has nobody at all
	asked    *config.Field         // names the target while there is no document

	rotation *rotation     // of all directors of this line
	begin    int64         // when the first of them had an instance
	key      *config.Field // says what is hashed; nil: only HashBy does
	hashes   bool
	timed    bool
	ramping  bool

	subsets map[string]*subset // all of the above by key, for the next Build
	there   func() string      // the versions that there are, counted when somebody asks
}

type target struct {
	name   string
	subset *subset // nil: nobody is usable
	guard  *guard  // nil: it is never withdrawn
}

type laneSubset struct {
	subset *subset           // nil: nobody is usable
	match  map[string]string // the labels that its instances carry
	strict bool
}

// Decide decides about a request. The error is a *Error.
func (d *Director) Decide(req config.Request) (Decision, error) {
	return d.DecideAt(req, -1, 0)
}

// DecideAt is Decide with the slot of a split that is not sticky given by the
// caller; -1 draws it. It serves requests that are decided again, which keep their
// slot, and explanations, which must not move a walk. Now is the time, on the clock of
// Pick.Now, for the guard; 0: as if nothing were withdrawn.
func (d *Director) DecideAt(req config.Request, slot int, now int64) (dec Decision, err error) {
	dec.Slot = -1
	// 1. Lanes and rules are off.
	if d.off {
		dec.Via = ViaOff
		err = d.settle(&dec, req, &d.standard, false, now)
		return dec, err
	}
	// 2. The request's lane.
	if name := req.Lane(); name != "" {
		if lane, ok := d.lanes[name]; ok && (lane.subset != nil || lane.strict) {
			dec.Via, dec.Target = ViaLane, name
			if lane.subset == nil {
				err = d.refuse(&dec, ErrNoInstance)
				return dec, err
			}
			d.hand(&dec, req, lane.subset)
			return dec, nil
		}
	}
	// 3. The first rule that matches.
	switch {
	case d.rules == nil:
		if name, ok := d.asked.Value(req, d.caller); ok {
			dec.Via = ViaRule
			err = d.named(&dec, req, name, false, now)
			return dec, err
		}
	case len(d.matcher.rules) > 0:
		l := config.NewLookup(req, d.caller)
		if i := d.matcher.match(&l); i >= 0 {
			err = d.follow(&dec, req, &l, i, slot, now)
			return dec, err
		}
	}
	// 4. The default.
	err = d.settle(&dec, req, &d.standard, false, now)
	return dec, err
}

// follow chooses the target that rule i names.
func (d *Director) follow(dec *Decision, req config.Request, l *config.Lookup, i, slot int, now int64) error {
	rule := &d.matcher.rules[i]
	dec.Via, dec.Rule = ViaRule, rule.Name
	switch {
	case rule.By != nil:
		name, _ := l.Value(rule.By)
		return d.named(dec, req, name, rule.Strict, now)
	case !rule.Split:
		return d.settle(dec, req, &d.arms[i][0], rule.Strict, now)
	}
	if dec.Slot = d.matcher.slot(i, l, slot); dec.Slot >= 0 {
		if arm := rule.Arm(dec.Slot); arm >= 0 {
			return d.settle(dec, req, &d.arms[i][arm], rule.Strict, now)
		}
	} else {
		dec.Keyless = true
	}
	return d.settle(dec, req, &d.standard, false, now)
}

// named goes on with a target that the request named itself.
func (d *Director) named(dec *Decision, req config.Request, name string, strict bool, now int64) error {
	if d.knows(name) {
		t := d.target(name)
		return d.settle(dec, req, &t, strict, now)
	}
	if strict {
		return d.refuse(dec, ErrUnknownTarget)
	}
	dec.Fallback = FallbackDefault
	return d.settle(dec, req, &d.standard, false, now)
}

// knows reports whether name can be a target: declared, or, where nothing is
// declared, any name at all.
func (d *Director) knows(name string) bool {
	if d.rules != nil && d.rules.Targets != nil {
		_, ok := d.rules.Targets[name]
		return ok
	}
	return config.ValidName(name)
}

// target returns the target of a name that can be one.
func (d *Director) target(name string) target {
	if name == d.standard.name {
		return d.standard
	}
	return target{name, d.targets[name], d.guards[name]}
}

// settle finds the candidates of a target that is decided. One that the guard has
// withdrawn counts as having nobody usable, unless the rule is strict.
func (d *Director) settle(dec *Decision, req config.Request, t *target, strict bool, now int64) error {
	dec.Target = t.name
	if t.subset != nil && (t.guard == nil || strict || now == 0 || t.guard.admits(now)) {
		d.hand(dec, req, t.subset)
		return nil
	}
	if t.name != d.standard.name {
		if strict {
			return d.refuse(dec, ErrNoInstance)
		}
		dec.Fallback = FallbackDefault
		if d.standard.subset != nil {
			d.hand(dec, req, d.standard.subset)
			return nil
		}
	}
	switch {
	case d.panicked != nil:
		dec.Fallback = FallbackPanic
		d.hand(dec, req, d.panicked)
	case d.anybody != nil:
		dec.Fallback = FallbackAny
		d.hand(dec, req, d.anybody)
	default:
		dec.Fallback = NoFallback
		return d.refuse(dec, ErrNoInstance)
	}
	return nil
}

// hand completes a decision with its candidates and, where they are picked by
// hash, with the hash of the request's key.
func (d *Director) hand(dec *Decision, req config.Request, s *subset) {
	dec.subset = s
	if s.ring != nil && d.key != nil {
		if key, ok := d.key.Value(req, d.caller); ok {
			dec.HashBy(key)
		}
	}
}

func (d *Director) refuse(dec *Decision, err error) error {
	return &Error{Service: d.snapshot.Service().Name, Decision: *dec, Err: err, There: d.there()}
}

// Serves reports whether the default has a usable instance. If it has not,
// requests that no rule sends elsewhere fail or are sent to unhealthy ones.
func (d *Director) Serves() bool { return d.standard.subset != nil }

// There says which versions there are, see Error.There.
func (d *Director) There() string { return d.there() }

// Pick picks one of a decision's candidates. It returns the instance's index in the
// director's snapshot and its endpoint, or -1 if all are skipped. It neither blocks
// nor allocates.
func (d *Director) Pick(dec *Decision, p Pick) (int, *Endpoint) {
	s := dec.subset
	i := s.pick(d.rotation, dec, p)
	if i < 0 {
		return -1, nil
	}
	if p.Now != 0 && !s.endpoints[i].admits(p.Now) {
		i = s.around(d.rotation, dec, p, i)
	}
	return int(s.members[i]), s.endpoints[i]
}

// Count tells the guard of a decision's target, if it has one, how a request ended at
// now that began at the now of DecideAt, and returns what that has changed: Ejected if
// the target is withdrawn. Requests of lanes and of the default are nobody's.
func (d *Director) Count(dec *Decision, v Verdict, began, now int64) Change {
	if v == Nothing {
		d.Forgo(dec, began)
		return NoChange
	}
	if d.guards == nil || dec.Via != ViaRule || dec.Fallback != NoFallback {
		return NoChange
	}
	if g := d.guards[dec.Target]; g != nil {
		return g.done(v != Good, began, now)
	}
	return NoChange
}

// Forgo says that a request that was decided at a time was not sent. If it was to try a
// withdrawn target, the next one may.
func (d *Director) Forgo(dec *Decision, at int64) {
	if d.guards != nil && dec.Via == ViaRule && dec.Fallback == NoFallback {
		if g := d.guards[dec.Target]; g != nil {
			g.forgo(at)
		}
	}
}

// Withdrawn returns the targets that the guard keeps requests from now, sorted.
func (d *Director) Withdrawn(now int64) []string {
	var names []string
	for name, g := range d.guards {
		if g.withdrawn(now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Isolated reports whether the rules keep requests from an instance of the snapshot by
// its address.
func (d *Director) Isolated(in *registry.Instance) bool {
	return d.rules != nil && d.rules.Isolated(in.Addr)
}

// Hashes reports whether instances are picked by the hash of a key, so that
// Decision.HashBy has an effect.
func (d *Director) Hashes() bool { return d.hashes }

// Timed reports whether picks need the time, and endpoints to be told how long
// requests took.
func (d *Director) Timed() bool { return d.timed }

// Ramping reports whether an instance is in its slow start: the director should be
// built again soon.
func (d *Director) Ramping() bool { return d.ramping }

// Snapshot returns the instances that the director decides about.
func (d *Director) Snapshot() *registry.Snapshot { return d.snapshot }

// Caller returns the labels of the caller that it decides for, read-only.
func (d *Director) Caller() map[string]string { return d.caller }

// Endpoint returns the endpoint of the snapshot's instance i.
func (d *Director) Endpoint(i int) *Endpoint { return d.endpoints[i] }
