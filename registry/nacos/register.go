package nacos

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/graylane/graylane/registry"
)

// MaxInstances is the most instances of one service that a client registers.
const MaxInstances = 1000

// Register implements [registry.Registrar]. Several instances of one service are
// announced together; one with an ID that this client has registered already is
// refused.
func (c *Client) Register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s, err := c.service(s)
	if err != nil {
		return nil, err
	}
	if in.Cluster == "" {
		in.Cluster = registry.DefaultCluster
	}
	if err := in.Validate(); err != nil {
		return nil, err
	}
	in.ID = registry.InstanceID(in.Addr, in.Cluster)
	in.Metadata = maps.Clone(in.Metadata)

	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.life.Done():
		return nil, registry.ErrClosed
	default:
	}
	p := c.publications[s]
	if p == nil {
		p = newPublication(c, s)
		c.publications[s] = p
		c.start(p)
	}
	return p.add(in)
}

// registration is one instance of a publication.
type registration struct {
	p  *publication
	id string // the instance's

	// Guarded by the publication's mu.
	instance registry.Instance
	since    uint64  // the revision of the desired set that holds it as it is
	closed   bool    // it is no longer in the desired set
	resent   attempt // the last that was made because it was not listed
	told     string  // what was reported of how it is shown
}

// Instance implements [registry.Registration].
func (r *registration) Instance() registry.Instance {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	in := r.instance
	in.Metadata = maps.Clone(in.Metadata)
	return in
}

// State implements [registry.Registration].
func (r *registration) State() registry.State {
	select {
	case <-r.p.client.life.Done():
		return registry.Closed
	default:
	}
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	switch {
	case r.closed:
		return registry.Closed
	case r.p.holds(r.since):
		return registry.Registered
	}
	return registry.Pending
}

// Ready implements [registry.Registration].
func (r *registration) Ready(ctx context.Context) error {
	return r.p.await(ctx, r.id, func() (bool, error) {
		if r.closed {
			return false, registry.ErrClosed
		}
		return r.p.holds(r.since), nil
	})
}

// Update implements [registry.Registration].
func (r *registration) Update(ctx context.Context, in registry.Instance) error {
	p := r.p
	p.mu.Lock()
	next := r.instance
	next.Weight, next.Enabled, next.Healthy = in.Weight, in.Enabled, in.Healthy
	next.Metadata = maps.Clone(in.Metadata)
	if err := next.Validate(); err != nil {
		p.mu.Unlock()
		return err
	}
	if r.closed {
		p.mu.Unlock()
		return registry.ErrClosed
	}
	r.instance = next
	r.since = p.desire()
	p.mu.Unlock()
	return r.Ready(ctx)
}

// Close implements [registry.Registration].
func (r *registration) Close(ctx context.Context) error {
	p := r.p
	p.mu.Lock()
	if !r.closed {
		r.closed = true
		p.members = slices.DeleteFunc(p.members, func(m *registration) bool { return m == r })
		r.since = p.desire()
	}
	p.mu.Unlock()
	return p.await(ctx, r.id, func() (bool, error) {
		// Without a connection that holds it there is nothing to withdraw.
		return p.on == nil || p.holds(r.since), nil
	})
}

func (p *publication) add(in registry.Instance) (*registration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.members) >= MaxInstances {
		return nil, fmt.Errorf("%w: more than %d instances of %v", registry.ErrInvalid, MaxInstances, p.service)
	}
	if slices.ContainsFunc(p.members, func(m *registration) bool { return m.id == in.ID }) {
		return nil, fmt.Errorf("%w: %s of %v is registered already", registry.ErrInvalid, in.ID, p.service)
	}
	r := &registration{p: p, id: in.ID, instance: in}
	p.members = append(p.members, r)
	r.since = p.desire()
	return r, nil
}
