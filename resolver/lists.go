package resolver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
)

// listed is a list as it is to be used.
type listed struct {
	instances []registry.Instance
	cached    bool                // of an earlier process
	known     bool                // the service has had an instance, of any protocol
	held      map[string]struct{} // IDs of those of the instances that are
}

// lists makes of what the registry says the lists that are used: until it has said
// something the cache's, and then with those that are held, see hold. All of its fields
// belong to the goroutine of run.
type lists struct {
	view *View
	out  func(listed)

	answers  *mailbox[registry.Update]
	earlier  *mailbox[registry.Update] // the cache's
	answered chan struct{}             // closed with the first answer
	probes   sync.WaitGroup

	hold    *hold
	prober  *prober          // nil while nothing is held
	expiry  <-chan time.Time // when something that is held is over
	last    *listed
	known   bool
	young   bool // the list of the cache, when it was put in force
	outdone bool // the registry has answered, and the cache has a list
}

func newLists(v *View, out func(listed)) *lists {
	return &lists{
		view: v, out: out,
		answers: newMailbox[registry.Update](), earlier: newMailbox[registry.Update](), answered: make(chan struct{}),
		hold: newHold(v.resolver.options.hold),
	}
}

// run watches until the view ends, and leaves no goroutine behind.
func (l *lists) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.probes.Wait()
	defer l.view.resolver.cached.forget(l)
	if !l.view.resolver.cached.none() {
		wg.Go(func() { l.recall(ctx) })
	}
	wg.Go(func() { l.watch(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.answers.full:
			if u := l.answers.take(); u != nil {
				l.answer(u)
				l.list(ctx, u.Instances, false)
			}
		case <-l.earlier.full:
			if u := l.earlier.take(); u != nil {
				l.serve(ctx, u)
			}
		case id := <-l.view.gone:
			if l.hold.gone(id) {
				l.changed(ctx, false)
			}
		case <-l.expiry:
			if l.hold.expire(l.view.resolver.now()) {
				l.changed(ctx, false)
			}
		}
	}
}

// recall brings the list of the cache, when the registry has turned out to be away, or
// has answered.
func (l *lists) recall(ctx context.Context) {
	r := l.view.resolver
	if u := r.cached.list(ctx, l.view.key); u != nil {
		away(ctx, r.watcher, l.answered)
		l.earlier.put(*u)
	}
}

// serve takes the list of the cache.
func (l *lists) serve(ctx context.Context, u *registry.Update) {
	if l.last != nil {
		l.outdone = true
		l.keep()
		return
	}
	l.young = time.Since(u.At) < youngCache
	l.event(FromCache, len(u.Instances))
	l.list(ctx, u.Instances, true)
}

// answer notes that the registry has answered. Of what the cache said until then, only
// what is young is held, and only against a list that is empty: who had left before this
// process started may not be there any more, and somebody else at its address.
func (l *lists) answer(u *registry.Update) {
	if l.last != nil && !l.last.cached {
		return
	}
	close(l.answered)
	if l.last != nil && (!l.young || len(speaking(l.view.key.protocol, u.Instances)) > 0) {
		l.hold = newHold(l.view.resolver.options.hold)
	}
}

// list takes a list.
func (l *lists) list(ctx context.Context, in []registry.Instance, cached bool) {
	l.known = l.known || len(in) > 0
	_, began := l.hold.list(speaking(l.view.key.protocol, in), l.view.resolver.now())
	l.last = &listed{cached: cached}
	l.changed(ctx, began)
}

// changed hands on the list to use, and looks after those of it that are held.
func (l *lists) changed(ctx context.Context, began bool) {
	held := l.hold.held()
	ids := make(map[string]struct{}, len(held))
	for i := range held {
		ids[held[i].ID] = struct{}{}
	}
	l.last = &listed{l.hold.effective(), l.last.cached, l.known, ids}
	l.out(*l.last)
	l.keep()
	if began {
		l.event(ListHeld, len(held))
		l.prober = newProber(l.view.resolver.options.dial, l.view.gone)
		p := l.prober
		l.probes.Go(func() { p.run(ctx) })
	}
	if l.prober != nil {
		l.prober.watch(held)
	}
	l.expiry = nil
	if len(held) > 0 {
		l.expiry = time.After(max(time.Duration(l.hold.deadline()-l.view.resolver.now()), time.Millisecond))
	}
	if l.hold.settled() {
		l.prober = nil
		l.event(ListSettled, 0)
	}
}

func (l *lists) event(k Kind, instances int) {
	l.view.resolver.options.hooks.event(Event{Kind: k, Service: l.view.key.service, Instances: instances})
}

// keep has the list saved, unless the service has never had an instance: its name may be
// one that a caller made up.
func (l *lists) keep() {
	if !l.last.cached && (l.known || l.outdone) {
		l.view.resolver.cached.keepList(l, l.view.key, l.last.instances)
	}
}

func (l *lists) watch(ctx context.Context) {
	service := l.view.key.service
	err := l.view.resolver.watcher.Watch(ctx, service, l.answers.put)
	if ctx.Err() != nil {
		return
	}
	err = fmt.Errorf("resolver: the watch of %s ended: %w", service, err)
	l.report(err)
	// A view that is serving goes on with what it has; one that never got anything
	// fails its requests at once.
	if l.view.live.value.Load() == nil {
		l.view.cancel(err)
	}
}

func (l *lists) report(err error) { l.view.resolver.options.hooks.err(l.view.key.service, err) }

// speaking returns the instances that speak a protocol.
func speaking(protocol string, in []registry.Instance) []registry.Instance {
	if protocol == "" {
		return in
	}
	out := make([]registry.Instance, 0, len(in))
	for i := range in {
		if in[i].Speaks(protocol) {
			out = append(out, in[i])
		}
	}
	return out
}
