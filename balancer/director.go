package balancer

import (
	"github.com/cespare/xxhash/v2"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Director decides, for every request, who gets it: section 3 of the rule
// language over one snapshot. It is immutable but for its counters; any number
// of goroutines may use it.
type Director struct {
	snapshot  *registry.Snapshot
	rules     *config.Rules // nil: no document
	matcher   matcher       // its rules
	caller    map[string]string
	endpoints []*Endpoint // one for each instance of the snapshot

	lanes    map[string]laneSubset // those that are declared or have somebody usable
	targets  map[string]*subset    // usable instances by target; without declared targets, by version
	standard target                // the default
	panicked *subset               // the default whatever its health; nil unless it has nobody usable
	anybody  *subset               // of `degrade: any`; nil unless the default has nobody at all
	asked    *config.Field         // names the target while there is no document

	subsets map[string]*subset // all of the above by key, for the next Build
	there   func() string      // the versions that there are, counted when somebody asks
}

type target struct {
	name   string
	subset *subset // nil: nobody is usable
}

type laneSubset struct {
	subset *subset           // nil: nobody is usable
	match  map[string]string // the labels that its instances carry
	strict bool
}

// Decide decides about a request. The error is a *Error.
func (d *Director) Decide(req config.Request) (Decision, error) {
	return d.DecideAt(req, -1)
}

// DecideAt is Decide with the slot of a split that is not sticky given by the
// caller; -1 draws it. It serves requests that are decided again, which keep their
// slot, and explanations, which must not move a walk.
func (d *Director) DecideAt(req config.Request, slot int) (Decision, error) {
	// 1. Lanes and rules are off.
	if d.rules != nil && !d.rules.Enabled {
		return d.settle(req, Decision{Via: ViaOff, Slot: -1}, &d.standard, false)
	}
	// 2. The request's lane.
	if name := req.Lane(); name != "" {
		if lane, ok := d.lanes[name]; ok && (lane.subset != nil || lane.strict) {
			dec := Decision{Via: ViaLane, Target: name, Slot: -1}
			if lane.subset == nil {
				return dec, d.refuse(dec, ErrNoInstance)
			}
			return d.hand(req, dec, lane.subset)
		}
	}
	// 3. The first rule that matches.
	if d.rules == nil {
		if name, ok := d.asked.Value(req, d.caller); ok {
			return d.named(req, Decision{Via: ViaRule, Slot: -1}, name, false)
		}
	} else if len(d.matcher.rules) > 0 {
		l := config.NewLookup(req, d.caller)
		if i, asked := d.matcher.match(&l); i >= 0 {
			return d.follow(req, &l, i, asked, slot)
		}
	}
	// 4. The default.
	return d.settle(req, Decision{Slot: -1}, &d.standard, false)
}

// follow chooses the target that rule i names.
func (d *Director) follow(req config.Request, l *config.Lookup, i int, asked string, slot int) (Decision, error) {
	rule := &d.matcher.rules[i]
	dec := Decision{Via: ViaRule, Rule: rule.Name, Slot: -1}
	switch {
	case rule.By != nil:
		return d.named(req, dec, asked, rule.Strict)
	case !rule.Split:
		return d.to(req, dec, rule.To[0].Target, rule.Strict)
	}
	if dec.Slot = d.matcher.slot(i, l, slot); dec.Slot >= 0 {
		if name, ok := rule.Arm(dec.Slot); ok {
			return d.to(req, dec, name, rule.Strict)
		}
	}
	return d.settle(req, dec, &d.standard, false)
}

// named goes on with a target that the request named itself.
func (d *Director) named(req config.Request, dec Decision, name string, strict bool) (Decision, error) {
	if d.knows(name) {
		return d.to(req, dec, name, strict)
	}
	if strict {
		return dec, d.refuse(dec, ErrUnknownTarget)
	}
	dec.Fallback = FallbackDefault
	return d.settle(req, dec, &d.standard, false)
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

func (d *Director) to(req config.Request, dec Decision, name string, strict bool) (Decision, error) {
	if name == d.standard.name {
		return d.settle(req, dec, &d.standard, strict)
	}
	return d.settle(req, dec, &target{name, d.targets[name]}, strict)
}

// settle finds the candidates of a target that is decided.
func (d *Director) settle(req config.Request, dec Decision, t *target, strict bool) (Decision, error) {
	dec.Target = t.name
	if t.subset != nil {
		return d.hand(req, dec, t.subset)
	}
	if t.name != d.standard.name {
		if strict {
			return dec, d.refuse(dec, ErrNoInstance)
		}
		dec.Fallback = FallbackDefault
		if d.standard.subset != nil {
			return d.hand(req, dec, d.standard.subset)
		}
	}
	switch {
	case d.panicked != nil:
		dec.Fallback = FallbackPanic
		return d.hand(req, dec, d.panicked)
	case d.anybody != nil:
		dec.Fallback = FallbackAny
		return d.hand(req, dec, d.anybody)
	}
	dec.Fallback = NoFallback
	return dec, d.refuse(dec, ErrNoInstance)
}

// hand completes a decision with its candidates and, where they are picked by
// hash, with the hash of the request's key.
func (d *Director) hand(req config.Request, dec Decision, s *subset) (Decision, error) {
	dec.subset = s
	if s.ring != nil {
		var key string
		if key, dec.hashed = d.rules.Balance.Key.Value(req, d.caller); dec.hashed {
			dec.hash = xxhash.Sum64String(key)
		}
	}
	return dec, nil
}

func (d *Director) refuse(dec Decision, err error) error {
	return &Error{Service: d.snapshot.Service().Name, Decision: dec, Err: err, There: d.there()}
}

// Serves reports whether the default has a usable instance. If it has not,
// requests that no rule sends elsewhere fail or are sent to unhealthy ones.
func (d *Director) Serves() bool { return d.standard.subset != nil }

// There says which versions there are, see Error.There.
func (d *Director) There() string { return d.there() }

// Pick picks one of a decision's candidates that skip (nil: none) does not pass
// over. It returns the instance's index in the director's snapshot and its
// endpoint, or -1 if all are skipped.
func (d *Director) Pick(dec *Decision, skip Skip) (int, *Endpoint) {
	s := dec.subset
	p := s.picker
	if dec.hashed {
		p = s.ring
	}
	i := p.Pick(Pick{Hash: dec.hash, Skip: skip})
	if i < 0 {
		return -1, nil
	}
	return int(s.members[i]), s.endpoints[i]
}

// Snapshot returns the instances that the director decides about.
func (d *Director) Snapshot() *registry.Snapshot { return d.snapshot }

// Endpoint returns the endpoint of the snapshot's instance i.
func (d *Director) Endpoint(i int) *Endpoint { return d.endpoints[i] }
