package bench

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// live is a view that a test feeds with lists.
type live struct {
	view   *resolver.View
	feed   *feed
	put    func(registry.Update)
	states chan *resolver.State
}

// newLive returns a view of the list under a document.
func newLive(tb testing.TB, doc string, in []instance, opts ...resolver.Option) *live {
	tb.Helper()
	w := &live{feed: &feed{calls: make(chan func(registry.Update))}, states: make(chan *resolver.State, 1)}
	r, err := resolver.New(w.feed, configmemory.New(map[string]string{config.ServiceDocID(service): doc}), opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.Close()) })
	w.view, err = r.View(r.Service(service), "")
	require.NoError(tb, err)
	w.put = <-w.feed.calls
	w.put(registry.Update{Instances: registered(in)})
	require.NoError(tb, w.view.Ready(tb.Context()))
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(tb.Context())
	go func() {
		defer close(ended)
		_ = w.view.Watch(ctx, func(s *resolver.State) {
			select {
			case w.states <- s:
			case <-ctx.Done():
			}
		})
	}()
	tb.Cleanup(func() { cancel(); <-ended })
	<-w.states // the first
	return w
}

// update puts a list in and waits until it is in force.
func (w *live) update(tb testing.TB, list []registry.Instance) {
	tb.Helper()
	w.put(registry.Update{Instances: list})
	select {
	case <-w.states:
	case <-tb.Context().Done():
		tb.Error("the update did not come into force")
	}
}

// feed is a registry.Watcher that a test drives.
type feed struct{ calls chan func(registry.Update) }

// Watch implements registry.Watcher.
func (f *feed) Watch(ctx context.Context, _ registry.Service, fn func(registry.Update)) error {
	select {
	case f.calls <- fn:
	case <-ctx.Done():
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
