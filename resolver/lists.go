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
	cached    bool // of an earlier process
}

// lists makes of what the registry says the lists that are used: until it has said
// something the cache's, and then with those that are held, see hold. All of its fields
// belong to the goroutine of run.
type lists struct {
	view *View
	out  func(listed)

	answers  *mailbox[registry.Update]
	earlier  *mailbox[registry.Update] // the cache's
	evidence *mailbox[struct{}]        // something was found out about those that are held
	answered chan struct{}             // closed with the first answer

	last    *listed
	unsaved <-chan time.Time // when the last list is to be saved
}

func newLists(v *View, out func(listed)) *lists {
	return &lists{
		view: v, out: out,
		answers: newMailbox[registry.Update](), earlier: newMailbox[registry.Update](), answered: make(chan struct{}),
	}
}

// run watches until the view ends, and leaves no goroutine behind.
func (l *lists) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if u := l.view.resolver.cached.list(l.view.key.service); u != nil {
		wg.Go(func() {
			if away(ctx, l.view.resolver.watcher, l.answered) {
				l.earlier.put(*u)
			}
		})
	}
	wg.Go(func() { l.watch(ctx) })
	for {
		select {
		case <-ctx.Done():
			if l.unsaved != nil {
				l.save()
			}
			return
		case <-l.answers.full:
			if u := l.answers.take(); u != nil {
				l.answer(u)
			}
		case <-l.earlier.full:
			if u := l.earlier.take(); u != nil && l.last == nil {
				l.view.resolver.options.hooks.event(Event{Kind: FromCache, Service: l.view.key.service, Instances: len(u.Instances)})
				l.tell(listed{u.Instances, true})
			}
		case <-l.unsaved:
			l.save()
		}
	}
}

// answer takes what the registry says.
func (l *lists) answer(u *registry.Update) {
	if l.last == nil || l.last.cached {
		close(l.answered)
	}
	l.tell(listed{u.Instances, false})
	if l.unsaved == nil && l.view.resolver.options.cache != nil {
		l.unsaved = time.After(saveAfter)
	}
}

func (l *lists) tell(now listed) {
	l.last = &now
	l.out(now)
}

func (l *lists) save() {
	l.unsaved = nil
	if err := l.view.resolver.cached.saveList(l.view.key.service, l.last.instances); err != nil {
		l.report(err)
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
