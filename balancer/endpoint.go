package balancer

import "sync/atomic"

// Endpoint is what this process knows about one instance by using it. It is
// found by the instance's ID and outlives snapshots: a change of weight,
// metadata or order keeps it. Its methods may be called concurrently.
type Endpoint struct {
	id, addr string
	inflight atomic.Int64
}

// ID returns the instance's ID.
func (e *Endpoint) ID() string { return e.id }

// Addr returns the instance's "ip:port".
func (e *Endpoint) Addr() string { return e.addr }

// InFlight returns the number of requests begun and not yet done.
func (e *Endpoint) InFlight() int64 { return e.inflight.Load() }

// Begin notes that a request was sent to the instance. Done must follow.
func (e *Endpoint) Begin() { e.inflight.Add(1) }

// Done notes that a request has ended.
func (e *Endpoint) Done() { e.inflight.Add(-1) }
