package resolver

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// rulesWait is how long the first list waits for the first answer about the
// rules. Until then requests wait, under their own contexts: without the rules
// they would go to the wrong version. After it they are served as if there were
// no document, since a source that is down must not keep a service down.
const rulesWait = 3 * time.Second

// growthSteps is how many steps an instance's weight grows in during its slow start.
const growthSteps = 20

// keeper keeps one view current. All of its fields belong to the goroutine of run.
type keeper struct {
	view    *View
	lists   *mailbox[listed]
	docs    *mailbox[version[config.Rules]]
	globals *live[global]

	snapshot *registry.Snapshot // nil before the first list
	known    bool
	cached   bool                // the list is from the cache
	held     map[string]struct{} // IDs of instances that the registry does not list any more
	rules    version[config.Rules]
	global   version[config.Global]
	waiting  map[string]bool  // documents that nothing is known about yet, by data ID
	state    *State           // in force; nil before the first
	growth   <-chan time.Time // while an instance is in its slow start
	deserted bool             // the default has nobody, which was reported
	mixed    bool             // several versions serve without a rule
}

func newKeeper(v *View, globals *live[global]) *keeper {
	k := &keeper{
		view:  v,
		lists: newMailbox[listed](), docs: newMailbox[version[config.Rules]](), globals: globals,
		waiting: map[string]bool{config.GlobalDocID: true}, // known at once if nobody brings it
	}
	if v.resolver.source != nil {
		k.waiting[k.dataID()] = true
	}
	return k
}

// run watches and builds until the view ends, and leaves no goroutine behind.
func (k *keeper) run() {
	ctx := k.view.ctx
	var wg sync.WaitGroup
	defer wg.Wait()
	// A view that ended serves nobody: Pick finds no state and says why.
	defer k.view.live.value.Store(nil)
	defer k.mix(false)
	wg.Go(func() { newLists(k.view, k.lists.put).run(ctx) })
	wg.Go(func() { newReviver(k.view).run(ctx) })
	if k.view.resolver.source != nil {
		wg.Go(func() { k.watchRules(ctx) })
	}
	globals, cancel := k.globals.subscribe()
	defer cancel()
	var patience <-chan time.Time
	for {
		changed, grown := false, false
		select {
		case <-ctx.Done():
			return
		case <-k.lists.full:
			if l := k.lists.take(); l != nil {
				changed = k.list(l)
			}
			if patience == nil && len(k.waiting) > 0 {
				patience = time.After(rulesWait)
			}
		case <-k.docs.full:
			if d := k.docs.take(); d != nil {
				k.rules, changed = *d, true
				delete(k.waiting, k.dataID())
			}
		case <-globals.full:
			if g := globals.take(); g != nil {
				k.global, changed = (*g).version, true
				delete(k.waiting, config.GlobalDocID)
			}
		case <-patience:
			changed = k.giveUp()
		case <-k.growth:
			grown = true
		}
		switch {
		case len(k.waiting) > 0 || k.snapshot == nil:
		case changed:
			k.build()
			k.view.resolver.options.hooks.update(k.view, k.state)
			k.complain()
		case grown:
			k.build() // the same, but for weights that nobody has changed
		}
	}
}

func (k *keeper) watchRules(ctx context.Context) {
	service := k.view.key.service
	d := document[config.Rules]{
		resolver: k.view.resolver, service: service, id: k.dataID(),
		parse: func(content []byte) (*config.Rules, config.Problems) {
			return config.ParseRules(k.dataID(), service.Name, content)
		},
	}
	d.watch(ctx, k.docs.put)
}

// giveUp goes on without the documents that the source has not said anything
// about, and reports whether there are any.
func (k *keeper) giveUp() bool {
	news := len(k.waiting) > 0
	for id := range k.waiting {
		k.report(fmt.Errorf("%w: %s", ErrNoDocument, id))
		delete(k.waiting, id)
	}
	return news
}

func (k *keeper) dataID() string { return config.ServiceDocID(k.view.key.service.Name) }

func (k *keeper) report(err error) { k.view.resolver.options.hooks.err(k.view.key.service, err) }

// list takes a list and reports whether it differs from the one before.
func (k *keeper) list(l *listed) bool {
	news := k.known != l.known || k.cached != l.cached || !maps.Equal(k.held, l.held)
	k.known, k.cached, k.held = l.known, l.cached, l.held
	revision := uint64(1)
	if k.snapshot != nil {
		revision = k.snapshot.Revision() + 1
	}
	snap := registry.NewSnapshot(k.view.key.service, revision, l.instances)
	if k.snapshot != nil && k.snapshot.SameInstances(snap) {
		return news
	}
	k.snapshot = snap
	return true
}

// build puts a state of what is known now in force.
func (k *keeper) build() {
	o := k.view.resolver.options.balancer
	o.Now = k.view.resolver.now()
	d := balancer.Build(k.rules.doc, k.global.doc, k.snapshot, o, k.director())
	k.growth = nil
	if d.Ramping() {
		k.growth = time.After(max(o.SlowStart/growthSteps, time.Millisecond))
	}
	s := &State{
		Snapshot: k.snapshot, Rules: k.rules.doc, Global: k.global.doc, Director: d, Cached: k.cached,
		Held: len(k.held), SeveralVersions: k.severalVersions(), known: k.known, held: k.held,
	}
	var before State
	if k.state != nil {
		before = *k.state
	}
	s.Sequence = before.Sequence + 1
	now := time.Now()
	s.RulesDoc, s.GlobalDoc = k.rules.status.inForce(&before.RulesDoc, now), k.global.status.inForce(&before.GlobalDoc, now)
	k.state = s
	k.view.live.publish(s)
}

// severalVersions reports whether several versions serve side by side, and nobody says
// which.
func (k *keeper) severalVersions() bool {
	return k.rules.doc == nil && k.view.resolver.options.balancer.DefaultVersion == "" && severalVersions(k.snapshot)
}

// director returns the one in force, nil before the first.
func (k *keeper) director() *balancer.Director {
	if k.state == nil {
		return nil
	}
	return k.state.Director
}

// complain reports what is wrong with the state in force, once.
func (k *keeper) complain() {
	d := k.state.Director
	deserted := k.known && !d.Serves()
	if deserted && !k.deserted {
		k.report(fmt.Errorf("%w: %s has: %s", ErrNoDefault, k.view, d.There()))
	}
	k.deserted = deserted
	if k.mix(k.state.SeveralVersions) {
		k.report(fmt.Errorf("%w: %s has: %s", ErrSeveralVersions, k.view.key.service, d.There()))
	}
}

// mix notes whether several versions serve side by side in this view, and reports
// whether that is news of the service: it may have a view for each protocol.
func (k *keeper) mix(mixed bool) (news bool) {
	if mixed == k.mixed {
		return false
	}
	k.mixed = mixed
	r := k.view.resolver
	r.mu.Lock()
	defer r.mu.Unlock()
	if !mixed {
		r.mixed[k.view.key.service]--
		if r.mixed[k.view.key.service] == 0 {
			delete(r.mixed, k.view.key.service)
		}
		return false
	}
	r.mixed[k.view.key.service]++
	return r.mixed[k.view.key.service] == 1
}

// severalVersions reports whether the instances that are in no lane are of more
// than one version.
func severalVersions(s *registry.Snapshot) bool {
	first := (*registry.Instance)(nil)
	for _, in := range s.All() {
		switch {
		case in.Metadata[registry.KeyLane] != "":
		case first == nil:
			first = in
		case first.Version() != in.Version():
			return true
		}
	}
	return false
}
