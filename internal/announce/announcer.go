package announce

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

const (
	// MaxServices is how many services a process announces that it consumes. A
	// gateway may consume thousands; each one costs Nacos an instance.
	MaxServices = 100
	// every is how long a service's announcement stays, at least.
	every = time.Second
	// mostAtOnce is how many services are announced in that time: a change of the global
	// document concerns all of them, in every process.
	mostAtOnce = 10
	// sweepEvery is how often we look for views that were closed: nobody tells.
	sweepEvery = 10 * time.Second
	// discard is the port of announcements, which nobody is meant to connect to: that
	// of RFC 863.
	discard = ":9"
	// maxReasons is how many different reasons of failures are told.
	maxReasons = 32
)

// Options say who announces, and how.
type Options struct {
	// Registrar fills in the IP address of an instance at ":9".
	Registrar registry.Registrar
	Namespace string
	Process   Process
	Features  []string
	// OnError is told why others may not see this process, once for each reason.
	OnError func(registry.Service, error)
}

// Announcer keeps announced what a process has applied.
type Announcer struct {
	options Options
	wake    chan struct{} // holds one element when changed has grown

	mu      sync.Mutex // guards what follows
	views   map[string]map[*resolver.View]struct{}
	changed map[string]struct{} // services of which there is news
	told    map[string]struct{} // reasons

	// What follows is Run's alone.
	services map[string]*announced
	failed   map[string]struct{} // services that could not be announced, for another try
}

// announced is what is announced of a service.
type announced struct {
	registration registry.Registration
	metadata     map[string]string
	at           time.Time
}

// New returns an announcer. It does nothing without Run.
func New(o Options) *Announcer {
	return &Announcer{
		options: o, wake: make(chan struct{}, 1),
		views: map[string]map[*resolver.View]struct{}{}, changed: map[string]struct{}{},
		told: map[string]struct{}{}, services: map[string]*announced{}, failed: map[string]struct{}{},
	}
}

// Updated takes note that a view has a new state; it is a hook, see
// [resolver.Hooks].
func (a *Announcer) Updated(v *resolver.View, _ *resolver.State) {
	// Documents are found by a service's name alone, so its group does not matter.
	name := v.Service().Name
	a.mu.Lock()
	if a.views[name] == nil {
		a.views[name] = map[*resolver.View]struct{}{}
	}
	a.views[name][v] = struct{}{}
	a.changed[name] = struct{}{}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Failed reports why an announcement is not what it should be, once for each reason
// of whichever service: there may be a hundred, each of which tries again.
func (a *Announcer) Failed(s registry.Service, err error) {
	reason := strings.ReplaceAll(err.Error(), s.Name, "SERVICE")
	a.mu.Lock()
	_, old := a.told[reason]
	old = old || len(a.told) >= maxReasons
	if !old {
		a.told[reason] = struct{}{}
	}
	a.mu.Unlock()
	if !old && a.options.OnError != nil {
		a.options.OnError(s, fmt.Errorf("announce: the status of %s may lack this process: %w", s.Name, err))
	}
}

// Run announces until ctx ends. What is announced then stays, until its registrar
// ends too.
func (a *Announcer) Run(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		var due <-chan time.Time
		if wait, some := a.announceAll(ctx); some {
			due = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-due:
		case <-sweep.C:
			a.sweep()
		}
	}
}

// sweep forgets the views that have ended, and marks their services as changed, and those
// that could not be announced.
func (a *Announcer) sweep() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.failed {
		a.changed[name] = struct{}{}
	}
	clear(a.failed)
	for name, views := range a.views {
		for v := range views {
			if v.Err() != nil {
				delete(views, v)
				a.changed[name] = struct{}{}
			}
		}
		if len(views) == 0 {
			delete(a.views, name)
		}
	}
}

// announceAll announces what has changed and may be announced now. What may not yet
// stays changed; then it returns when to try again.
func (a *Announcer) announceAll(ctx context.Context) (wait time.Duration, some bool) {
	a.mu.Lock()
	changed := a.changed
	a.changed = map[string]struct{}{}
	a.mu.Unlock()
	later := func(name string, after time.Duration) {
		if !some || after < wait {
			wait, some = after, true
		}
		a.mu.Lock()
		a.changed[name] = struct{}{}
		a.mu.Unlock()
	}
	for name := range changed {
		switch s := a.services[name]; {
		case s != nil && time.Since(s.at) < every:
			later(name, every-time.Since(s.at))
		case a.paced():
			later(name, every/mostAtOnce)
		default:
			a.announce(ctx, name)
		}
	}
	return wait, some
}

// paced reports whether as many services as may be were announced lately.
func (a *Announcer) paced() bool {
	lately := 0
	for _, s := range a.services {
		if time.Since(s.at) < every {
			lately++
		}
	}
	return lately >= mostAtOnce
}

// announce brings what is announced of a service up to date.
func (a *Announcer) announce(ctx context.Context, name string) {
	now, open, agreed := a.current(name)
	s := a.services[name]
	switch {
	case !open && s != nil:
		delete(a.services, name)
		// With a context that has ended these change what is desired, and wait for
		// nobody; what goes wrong later, the registrar reports.
		_ = s.registration.Close(ended(ctx))
	case !open || !agreed:
	case s == nil:
		a.first(ctx, name, now.metadata())
	default:
		metadata := now.metadata()
		if maps.Equal(metadata, s.metadata) {
			return
		}
		s.metadata, s.at = metadata, time.Now()
		in := a.instance(metadata)
		_ = s.registration.Update(ended(ctx), in)
	}
}

// ended returns a context that has ended.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// first registers a service's announcement.
func (a *Announcer) first(ctx context.Context, name string, metadata map[string]string) {
	service := registry.Service{Namespace: a.options.Namespace, Group: Group, Name: name}
	a.failed[name] = struct{}{} // until it has worked
	if len(a.services) >= MaxServices {
		a.Failed(service, fmt.Errorf("more than %d services are consumed, and only so many announced", MaxServices))
		return
	}
	registration, err := a.options.Registrar.Register(ctx, service, a.instance(metadata))
	if err != nil {
		if ctx.Err() == nil {
			a.Failed(service, err)
		}
		return
	}
	delete(a.failed, name)
	a.services[name] = &announced{registration, metadata, time.Now()}
}

// instance is an announcement as the registry has it. Nobody sends requests to an
// instance of weight 0. Its cluster is what no other client has: clients share an IP
// address, on one machine and on several.
func (a *Announcer) instance(metadata map[string]string) registry.Instance {
	in := registry.NewInstance(discard)
	in.Weight, in.Metadata = 0, maps.Clone(metadata)
	boot := a.options.Process.Boot
	in.Cluster = boot[:min(len(boot), maxBoot)]
	in.ID = registry.InstanceID(in.Addr, in.Cluster)
	return in
}

// current returns what is to be announced of a service. Not open: nothing, since
// nobody consumes it, or it is nothing but a name that a caller made up. Not agreed:
// a version counts as applied when all views of the service have it, one for each
// protocol, and some are on their way.
func (a *Announcer) current(name string) (now Announcement, open, agreed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now = Announcement{Language: Language, Features: a.options.Features, Process: a.options.Process}
	agreed = true
	for v := range a.views[name] {
		s := v.State()
		if s == nil || v.Err() != nil {
			continue
		}
		if !s.Known() && s.RulesDoc.MD5 == "" && s.RulesDoc.Refused == nil {
			continue
		}
		rules, global := applied(&s.RulesDoc), applied(&s.GlobalDoc)
		if open && (rules != now.Rules || global != now.Global) {
			agreed = false
		}
		open = true
		now.Rules, now.Global, now.Took = rules, global, max(now.Took, s.RulesDoc.Took)
	}
	return now, open, agreed
}
