package grpcx

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/connectivity"

	"github.com/graylane/graylane/resolver"
)

// A policy can be selected by its registered name only. This is the one thing
// that the package registers.
func init() { gbalancer.Register(policyBuilder{}) } //nolint:gochecknoinits // gRPC allows registration in init only

type policyBuilder struct{}

// Name implements gbalancer.Builder.
func (policyBuilder) Name() string { return policyName }

// Build implements gbalancer.Builder.
func (policyBuilder) Build(cc gbalancer.ClientConn, opts gbalancer.BuildOptions) gbalancer.Balancer {
	ctx, cancel := context.WithCancel(context.Background())
	p := &policy{ClientConn: cc, cancel: cancel}
	p.start = sync.OnceFunc(func() { p.wg.Go(func() { p.watch(ctx) }) })
	// The children reconnect by themselves, so that every instance stays
	// connected whether or not it gets calls.
	first := gbalancer.Get(pickfirst.Name)
	p.Balancer = endpointsharding.NewBalancer(p, opts, func(cc gbalancer.ClientConn, opts gbalancer.BuildOptions) gbalancer.Balancer {
		c := &child{ClientConn: cc, policy: p}
		c.Balancer = first.Build(c, opts)
		return c
	}, endpointsharding.Options{})
	return p
}

// policy is the load balancing policy of one ClientConn. One child keeps the
// connection to each address; the embedded Balancer leads the children, and
// reports to UpdateState here as if the policy were its ClientConn.
type policy struct {
	gbalancer.ClientConn
	gbalancer.Balancer

	start  func() // starts watch, once
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// mu guards what follows, and is held while a picker is handed to gRPC, so
	// that an older one never follows a newer. It is taken under the lock of the
	// embedded Balancer, and gRPC's own are taken under it.
	mu    sync.Mutex
	view  *resolver.View // nil before the first update
	conns conns
	state connectivity.State
	ended error // why no call can succeed any more
}

// UpdateClientConnState takes a list of addresses.
func (p *policy) UpdateClientConnState(s gbalancer.ClientConnState) error {
	l, ok := s.ResolverState.Attributes.Value(linkKey{}).(*link)
	if !ok {
		p.end(errForeign)
		return fmt.Errorf("%w: %w", errForeign, gbalancer.ErrBadResolverState)
	}
	p.mu.Lock()
	p.view, p.conns = l.view, p.conns.with(s.ResolverState.Endpoints)
	p.mu.Unlock()
	l.taken.Store(true)
	p.start()
	// An empty list is an error to the Balancer. Here it is an answer, and the
	// picker knows what it means.
	_ = p.Balancer.UpdateClientConnState(gbalancer.ClientConnState{
		// Client-side health checks work, if the service config asks for them.
		ResolverState: pickfirst.EnableHealthListener(s.ResolverState),
	})
	return nil
}

// UpdateState takes the state of all children together, after one of them has
// changed. What became of that one its child has noted.
func (p *policy) UpdateState(s gbalancer.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s.ConnectivityState
	p.publish()
}

// slot returns where the connection to an address of the newest list is noted.
func (p *policy) slot(addr string) *atomic.Pointer[conn] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[addr]
}

// watch hands out a new picker whenever the view changes: calls that are queued
// in the one before are then picked again.
func (p *policy) watch(ctx context.Context) {
	p.mu.Lock()
	view := p.view
	p.mu.Unlock()
	err := view.Watch(ctx, func(*resolver.State) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.publish()
	})
	if ctx.Err() == nil {
		p.end(err)
	}
}

// end fails all calls from now on.
func (p *policy) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = err
	p.publish()
}

// publish hands a picker to gRPC; p.mu is held.
func (p *policy) publish() {
	state := p.state
	switch {
	case p.ended != nil:
		state = connectivity.TransientFailure
	case p.view.State() == nil:
		state = connectivity.Connecting
	}
	p.ClientConn.UpdateState(gbalancer.State{
		ConnectivityState: state,
		Picker:            &picker{view: p.view, conns: p.conns, ended: p.ended},
	})
}

// Close ends watch and all connections.
func (p *policy) Close() {
	p.cancel()
	p.wg.Wait()
	p.Balancer.Close()
}
