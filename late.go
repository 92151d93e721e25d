package graylane

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"

	"github.com/graylane/graylane/registry"
)

// late is a registration that waits for an address to announce, and then stands
// before the one that has it.
type late struct {
	client  *Client
	service registry.Service
	port    uint16
	known   chan struct{}      // closed when inner or err is set
	giveUp  context.CancelFunc // ends the wait

	// mu guards what follows. Under it only Registrar.Register is called, which
	// does not wait for the registry.
	mu     sync.Mutex
	wanted registry.Instance
	closed bool
	inner  registry.Registration
	err    error // why inner will never be
}

func (c *Client) registerLater(s registry.Service, in registry.Instance, port uint16) (registry.Registration, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	l := &late{client: c, service: s, port: port, known: make(chan struct{}), giveUp: cancel, wanted: in}
	if !c.start(func() { l.await(ctx) }) {
		cancel()
		return nil, fmt.Errorf("graylane: register %s: %w", s.Name, registry.ErrClosed)
	}
	return l, nil
}

// await is the goroutine of a late registration: it ends when there is an
// address, with Close, or with the client.
func (l *late) await(ctx context.Context) {
	defer l.giveUp()
	defer close(l.known)
	err := l.client.naming.Ready(ctx)
	ip, ok := l.client.naming.LocalAddr()

	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || err != nil:
		l.err = registry.ErrClosed
	case !ok:
		l.err = fmt.Errorf("%w: the connection to Nacos has no IP address; set %s", registry.ErrInvalid, envIP)
	default:
		l.inner, l.err = l.client.naming.Register(ctx, l.service, at(l.wanted, ip, l.port))
	}
}

func (l *late) Instance() registry.Instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != nil {
		return l.inner.Instance()
	}
	in := l.wanted
	in.Metadata = maps.Clone(in.Metadata)
	return in
}

func (l *late) State() registry.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inner != nil:
		return l.inner.State()
	case l.closed || l.err != nil:
		return registry.Closed
	}
	return registry.Pending
}

func (l *late) Ready(ctx context.Context) error {
	inner, err := l.settled(ctx)
	if err != nil {
		return err
	}
	return inner.Ready(ctx)
}

func (l *late) Update(ctx context.Context, in registry.Instance) error {
	l.mu.Lock()
	inner := l.inner
	if inner == nil {
		in.Addr, in.Cluster = l.wanted.Addr, l.wanted.Cluster
		if err := validate(l.service, at(in, netip.Addr{}, l.port)); err != nil {
			l.mu.Unlock()
			return fmt.Errorf("graylane: update %s: %w", l.service.Name, err)
		}
		l.wanted = in
		l.wanted.Metadata = maps.Clone(in.Metadata)
	}
	l.mu.Unlock()
	if inner != nil {
		return inner.Update(ctx, in)
	}
	return l.Ready(ctx)
}

func (l *late) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	inner := l.inner
	l.mu.Unlock()
	if inner != nil {
		return inner.Close(ctx)
	}
	l.giveUp()
	return nil
}

// settled waits for the address and returns the registration that has it. When
// ctx ends first, the error has the reason why there is none.
func (l *late) settled(ctx context.Context) (registry.Registration, error) {
	select {
	case <-l.known:
	case <-ctx.Done():
		if err := l.client.naming.Ready(ctx); err != nil {
			return nil, fmt.Errorf("graylane: no address to announce %s at: %w", l.service.Name, err)
		}
		return nil, fmt.Errorf("graylane: register %s: %w", l.service.Name, context.Cause(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		return nil, fmt.Errorf("graylane: register %s: %w", l.service.Name, l.err)
	}
	return l.inner, nil
}
