package resolver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// MaxServices is how many views a resolver keeps open at once. Service names may
// come from requests (a gateway's), so their number must have an end.
const MaxServices = 10_000

// Resolver makes views. Its methods may be called concurrently.
type Resolver struct {
	watcher registry.Watcher
	source  config.Source // nil: no documents
	options options
	begin   time.Time // of the clock that balancers go by
	budget  *budget   // of all views
	cached  cached

	ctx    context.Context //nolint:containedctx // the life of all views, ended by Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // every goroutine of every view

	// mu guards what follows. Hooks, watchers and sources are never called under
	// it, they may call back.
	mu     sync.Mutex
	views  map[viewKey]*View
	closed bool
	// complaints holds what was said last about a document: a service may have a view
	// for each protocol, and they find the same.
	complaints map[string]string
	mixed      map[registry.Service]int // how many views of a service have several versions without a rule
	global     *live[global]            // nil until somebody asks for it
}

type viewKey struct {
	service  registry.Service
	protocol string
}

// New returns a resolver over a registry and a source of documents; without a
// source (nil) there are no rules. It starts nothing, the first View does.
// Neither the watcher nor the source is closed by it.
func New(w registry.Watcher, src config.Source, opts ...Option) (*Resolver, error) {
	o, err := newOptions(w, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Resolver{
		watcher: w, source: src, options: o, begin: time.Now(), budget: newBudget(), cached: newCached(o),
		ctx: ctx, cancel: cancel,
		views: map[viewKey]*View{}, complaints: map[string]string{}, mixed: map[registry.Service]int{},
	}, nil
}

// Service returns the full name of a service in the resolver's namespace and
// group.
func (r *Resolver) Service(name string) registry.Service {
	s := r.options.defaults
	s.Name = name
	return s
}

// now returns the time on the clock that balancers go by: in ns, and never 0.
func (r *Resolver) now() int64 { return int64(time.Since(r.begin)) + 1 }

// View returns the live view of a service. The first call starts the watch;
// views of one service and protocol are shared, and each call needs one
// View.Close. Protocol ("http", "grpc"; "" for all) hides the instances that are
// labelled with another one.
//
// Errors: ErrClosed, ErrTooManyServices, registry.ErrInvalid.
func (r *Resolver) View(s registry.Service, protocol string) (*View, error) {
	s = s.WithDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	key := viewKey{s, protocol}
	v := r.views[key]
	if v == nil || v.Err() != nil {
		if v == nil && len(r.views) >= MaxServices {
			return nil, fmt.Errorf("%w: %d are open, %s is one more", ErrTooManyServices, MaxServices, s)
		}
		v = newView(r, key)
		r.views[key] = v
	}
	v.refs++
	return v, nil
}

// release takes back one View call's share of a view.
func (r *Resolver) release(v *View) {
	r.mu.Lock()
	v.refs--
	last := v.refs == 0 && r.views[v.key] == v
	if last {
		delete(r.views, v.key)
		delete(r.complaints, config.ServiceDocID(v.key.service.Name))
	}
	r.mu.Unlock()
	if last {
		v.cancel(ErrClosed)
	}
}

// complain notes what is wrong with a document, "" for nothing, and reports
// whether that has not been said yet.
func (r *Resolver) complain(dataID, what string) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news = what != "" && r.complaints[dataID] != what
	if r.complaints[dataID] = what; what == "" {
		delete(r.complaints, dataID)
	}
	return news
}

// Close ends all watches, waits for every goroutine, and fails later calls with
// ErrClosed. What is not saved yet is saved, for at most 500 ms: a Cache that hangs keeps
// the goroutines that are in it. It is idempotent.
func (r *Resolver) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(ErrClosed)
	r.wg.Wait()
	r.cached.close()
	return nil
}
