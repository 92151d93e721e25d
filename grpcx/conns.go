package grpcx

import (
	"sync/atomic"

	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	gresolver "google.golang.org/grpc/resolver"
)

// conn is the connection to one address, as it is now. With neither field set it is
// being established.
type conn struct {
	ready gbalancer.SubConn
	err   error // why it failed
}

// conns are the connections by address. The set of addresses is immutable, the
// connections are current: one that changes costs the same among ten and among
// ten thousand.
type conns map[string]*atomic.Pointer[conn]

// get returns the connection to an address; known is false if there is none.
func (c conns) get(addr string) (now conn, known bool) {
	slot := c[addr]
	if slot == nil {
		return conn{}, false
	}
	return *slot.Load(), true
}

// with returns the connections to these addresses: those that c has, and new ones.
func (c conns) with(endpoints []gresolver.Endpoint) conns {
	out := make(conns, len(endpoints))
	for _, e := range endpoints {
		addr := e.Addresses[0].Addr
		if out[addr] = c[addr]; out[addr] == nil {
			out[addr] = &atomic.Pointer[conn]{}
			out[addr].Store(&conn{})
		}
	}
	return out
}

// child keeps the connection to one address: it leads the policy pickfirst, and notes
// what becomes of the connection before anybody else hears of it.
type child struct {
	gbalancer.Balancer
	gbalancer.ClientConn
	policy *policy
	slot   *atomic.Pointer[conn] // nil before the first update; not written while there are updates from below
}

// UpdateClientConnState implements gbalancer.Balancer.
func (c *child) UpdateClientConnState(s gbalancer.ClientConnState) error {
	if c.slot == nil {
		c.slot = c.policy.slot(s.ResolverState.Endpoints[0].Addresses[0].Addr)
	}
	return c.Balancer.UpdateClientConnState(s)
}

// UpdateState implements gbalancer.ClientConn.
func (c *child) UpdateState(s gbalancer.State) {
	now := &conn{}
	switch s.ConnectivityState {
	case connectivity.Ready:
		result, err := s.Picker.Pick(gbalancer.PickInfo{})
		now.ready, now.err = result.SubConn, err
	case connectivity.TransientFailure:
		_, now.err = s.Picker.Pick(gbalancer.PickInfo{})
	default: // connecting, or about to
	}
	c.slot.Store(now)
	c.ClientConn.UpdateState(s)
}
