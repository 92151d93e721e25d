package resolver

import (
	"context"
	"fmt"
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

// keeper keeps one view current. All of its fields belong to the goroutine of run.
type keeper struct {
	view  *View
	lists *mailbox[registry.Update]
	docs  *mailbox[config.Doc]
	blind chan struct{} // closed when the source can never say anything more

	snapshot *registry.Snapshot // nil before the first list
	known    bool
	rules    *config.Rules // the last accepted
	answered bool          // the source has said something about the document
	refused  string        // md5 of the document refused last
	director *balancer.Director
	deserted bool // the default has nobody, which was reported
}

func newKeeper(v *View) *keeper {
	return &keeper{
		view:  v,
		lists: newMailbox[registry.Update](), docs: newMailbox[config.Doc](),
		blind:    make(chan struct{}),
		answered: v.resolver.source == nil,
	}
}

// run watches and builds until the view ends, and leaves no goroutine behind.
func (k *keeper) run() {
	ctx := k.view.ctx
	var wg sync.WaitGroup
	defer wg.Wait()
	// A view that ended serves nobody: Pick finds no state and says why.
	defer k.view.state.Store(nil)
	wg.Go(func() { k.watchLists(ctx) })
	if k.view.resolver.source != nil {
		wg.Go(func() { k.watchRules(ctx) })
	}
	var patience <-chan time.Time
	for {
		changed := false
		select {
		case <-ctx.Done():
			return
		case <-k.lists.full:
			if u := k.lists.take(); u != nil {
				changed = k.list(u)
			}
			if patience == nil && !k.answered {
				patience = time.After(rulesWait)
			}
		case <-k.docs.full:
			if d := k.docs.take(); d != nil {
				changed = k.doc(d)
			}
		case <-k.blind:
			k.blind = nil
			changed = k.giveUp()
		case <-patience:
			changed = k.giveUp()
		}
		if changed && k.answered && k.snapshot != nil {
			k.build()
		}
	}
}

func (k *keeper) watchLists(ctx context.Context) {
	err := k.view.resolver.watcher.Watch(ctx, k.view.key.service, k.lists.put)
	if ctx.Err() != nil {
		return
	}
	err = fmt.Errorf("resolver: the watch of %s ended: %w", k.view.key.service, err)
	k.report(err)
	// A view that is serving goes on with what it has; one that never got anything
	// fails its requests at once.
	if k.view.state.Load() == nil {
		k.view.cancel(err)
	}
}

func (k *keeper) watchRules(ctx context.Context) {
	blind := k.blind
	err := k.view.resolver.source.Watch(ctx, k.dataID(), k.docs.put)
	if ctx.Err() == nil {
		k.report(fmt.Errorf("resolver: the watch of %s ended: %w", k.dataID(), err))
		close(blind)
	}
}

// giveUp goes on without rules where the source has not said anything, and
// reports whether that is new.
func (k *keeper) giveUp() bool {
	if k.answered {
		return false
	}
	k.answered = true
	k.report(fmt.Errorf("%w: %s", ErrNoDocument, k.dataID()))
	return true
}

func (k *keeper) dataID() string { return config.ServiceDocID(k.view.key.service.Name) }

func (k *keeper) report(err error) { k.view.resolver.options.hooks.err(k.view.key.service, err) }

// list takes a list and reports whether it differs from the one before.
func (k *keeper) list(u *registry.Update) bool {
	news := !k.known && len(u.Instances) > 0
	k.known = k.known || news
	revision := uint64(1)
	if k.snapshot != nil {
		revision = k.snapshot.Revision() + 1
	}
	snap := registry.NewSnapshot(k.view.key.service, revision, speaking(k.view.key.protocol, u.Instances))
	if k.snapshot != nil && k.snapshot.SameInstances(snap) {
		return news
	}
	k.snapshot = snap
	return true
}

// speaking returns the instances that speak a protocol or do not say which.
func speaking(protocol string, in []registry.Instance) []registry.Instance {
	if protocol == "" {
		return in
	}
	out := make([]registry.Instance, 0, len(in))
	for _, i := range in {
		if p := i.Metadata[registry.KeyProtocol]; p == "" || p == protocol {
			out = append(out, i)
		}
	}
	return out
}

// doc takes what the source says about the document and reports whether anything
// follows for requests. Only an accepted document replaces one.
func (k *keeper) doc(d *config.Doc) bool {
	first := !k.answered
	k.answered = true
	switch {
	case d.State == config.Absent:
		if k.rules != nil && k.view.resolver.complain(k.view.key.service, "gone") {
			k.report(fmt.Errorf("%w: %s", ErrDocumentGone, k.dataID()))
		}
		return first
	case k.rules != nil && d.MD5 == k.rules.MD5:
		k.refused = ""
		k.view.resolver.complain(k.view.key.service, "")
		return first
	case d.MD5 == k.refused:
		return first
	}
	rules, problems := config.ParseRules(k.dataID(), k.view.key.service.Name, d.Content)
	if rules == nil {
		k.refused = d.MD5
		if k.view.resolver.complain(k.view.key.service, d.MD5) {
			k.report(&RefusedError{DataID: k.dataID(), MD5: d.MD5, Problems: problems})
		}
		return first
	}
	k.rules, k.refused = rules, ""
	k.view.resolver.complain(k.view.key.service, "")
	return true
}

func (k *keeper) build() {
	k.director = balancer.Build(k.rules, nil, k.snapshot, k.view.resolver.options.balancer, k.director)
	k.view.publish(&State{Snapshot: k.snapshot, Rules: k.rules, Director: k.director, known: k.known})
	deserted := k.known && !k.director.Serves()
	if deserted && !k.deserted {
		k.report(fmt.Errorf("%w: %s has: %s", ErrNoDefault, k.view, k.director.There()))
	}
	k.deserted = deserted
}
