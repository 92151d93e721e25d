// Package memory is a registry inside the process: static lists, unit tests,
// examples. It links nothing but the standard library.
package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
)

// Registry holds instances in memory. It is a registry.Watcher and a
// registry.Registrar; its methods may be called concurrently. The zero value is
// not usable, call New.
type Registry struct {
	// mu guards services and everything below it. Nothing is called under it.
	mu       sync.Mutex
	services map[registry.Service]*entry
}

type entry struct {
	instances []registry.Instance
	watchers  map[chan struct{}]struct{} // each of capacity 1: "look again"
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{services: map[registry.Service]*entry{}}
}

// Set replaces all instances of a service. The instances are copied.
func (r *Registry) Set(s registry.Service, in ...registry.Instance) {
	r.change(s, func([]registry.Instance) []registry.Instance {
		list := make([]registry.Instance, 0, len(in))
		for _, i := range in {
			list = append(list, identified(i))
		}
		return list
	})
}

// Instances returns a copy of what is registered for a service.
func (r *Registry) Instances(s registry.Service) []registry.Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return clone(r.entry(s.WithDefaults()).instances)
}

// Watch implements registry.Watcher.
func (r *Registry) Watch(ctx context.Context, s registry.Service, fn func(registry.Update)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	s = s.WithDefaults()
	changed := make(chan struct{}, 1)
	changed <- struct{}{} // the first list
	r.mu.Lock()
	r.entry(s).watchers[changed] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.entry(s).watchers, changed)
		r.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
			fn(registry.Update{Instances: r.Instances(s), Origin: registry.Pushed, At: time.Now()})
		}
	}
}

// Synced returns now: what watchers have is what is here.
func (r *Registry) Synced(registry.Service) (time.Time, bool) { return time.Now(), true }

// Register implements registry.Registrar. The instance is visible at once; one
// with the same ID is replaced.
func (r *Registry) Register(_ context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := in.Validate(); err != nil {
		return nil, err
	}
	reg := &registration{registry: r, service: s.WithDefaults(), instance: identified(in)}
	reg.put()
	return reg, nil
}

// entry returns the entry of s; r.mu is held.
func (r *Registry) entry(s registry.Service) *entry {
	e := r.services[s]
	if e == nil {
		e = &entry{watchers: map[chan struct{}]struct{}{}}
		r.services[s] = e
	}
	return e
}

func (r *Registry) change(s registry.Service, fn func([]registry.Instance) []registry.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(s.WithDefaults())
	e.instances = fn(e.instances)
	for w := range e.watchers {
		select {
		case w <- struct{}{}:
		default: // one is waiting already, and will find this change too
		}
	}
}

type registration struct {
	registry *Registry
	service  registry.Service

	mu       sync.Mutex // guards what follows; taken before Registry.mu
	instance registry.Instance
	closed   bool
}

func (g *registration) put() {
	in := g.instance
	g.registry.change(g.service, func(list []registry.Instance) []registry.Instance {
		return append(without(list, in.ID), clone([]registry.Instance{in})...)
	})
}

func (g *registration) Instance() registry.Instance {
	g.mu.Lock()
	defer g.mu.Unlock()
	return clone([]registry.Instance{g.instance})[0]
}

func (g *registration) Ready(context.Context) error {
	if g.State() == registry.Closed {
		return registry.ErrClosed
	}
	return nil
}

func (g *registration) State() registry.State {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return registry.Closed
	}
	return registry.Registered
}

func (g *registration) Update(_ context.Context, in registry.Instance) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("memory: update %s: %w", g.instance.ID, registry.ErrClosed)
	}
	in.ID, in.Addr, in.Cluster = g.instance.ID, g.instance.Addr, g.instance.Cluster
	if err := in.Validate(); err != nil {
		return err
	}
	g.instance = identified(in)
	g.put()
	return nil
}

func (g *registration) Close(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	id := g.instance.ID
	g.registry.change(g.service, func(list []registry.Instance) []registry.Instance { return without(list, id) })
	return nil
}

// identified returns a copy of in with cluster and ID filled in.
func identified(in registry.Instance) registry.Instance {
	if in.Cluster == "" {
		in.Cluster = registry.DefaultCluster
	}
	in.ID = registry.InstanceID(in.Addr, in.Cluster)
	in.Metadata = maps.Clone(in.Metadata)
	return in
}

func without(list []registry.Instance, id string) []registry.Instance {
	return slices.DeleteFunc(slices.Clone(list), func(in registry.Instance) bool { return in.ID == id })
}

func clone(list []registry.Instance) []registry.Instance {
	list = slices.Clone(list)
	for i := range list {
		list[i].Metadata = maps.Clone(list[i].Metadata)
	}
	return list
}
