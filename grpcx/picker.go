package grpcx

import (
	"context"
	"errors"
	"fmt"

	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/resolver"
)

// picker picks the connection for each attempt of each call. It is immutable,
// but for the view and the connections, which are always current.
type picker struct {
	view  *resolver.View
	conns conns
	ended error // why no call can succeed any more
}

// Pick implements gbalancer.Picker. It never blocks.
func (p *picker) Pick(info gbalancer.PickInfo) (gbalancer.PickResult, error) {
	c, ok := info.Ctx.Value(cellKey{}).(*cell)
	if !ok {
		return gbalancer.PickResult{}, status.Error(codes.Internal, errForeign.Error())
	}
	c.view, c.skip = p.view, skip{conns: p.conns}
	call, err := p.next(info.Ctx, c)
	if call.State != nil && !c.made {
		c.call = call
	}
	if err == nil {
		c.begin(call)
		if now, _ := p.conns.get(call.Addr()); now.ready != nil {
			c.err = nil
			return gbalancer.PickResult{
				SubConn: now.ready,
				Done:    func(done gbalancer.DoneInfo) { c.done(info.Ctx, done) },
			}, nil
		}
		// It was lost since it was looked at. Who notes that hands out a new picker
		// next, and gRPC asks that one.
		c.done(info.Ctx, gbalancer.DoneInfo{})
		return gbalancer.PickResult{}, gbalancer.ErrNoSubConnAvailable
	}
	c.err = err
	return gbalancer.PickResult{}, p.refuse(c)
}

// next picks an instance for the next attempt of c. Once an attempt was made,
// its decision stands.
func (p *picker) next(ctx context.Context, c *cell) (resolver.Call, error) {
	if c.made {
		now := p.view.State()
		c.skip.gone = now == nil || c.call.State.Snapshot != now.Snapshot
		return c.call.Next(ctx, &c.skip)
	}
	if p.ended != nil {
		return resolver.Call{}, p.ended
	}
	if p.view.State() == nil {
		return resolver.Call{}, resolver.ErrNotReady // Pick would wait
	}
	if c.call.State != nil { // picked before, and queued or not sent: its slot stays
		return c.call.Again(ctx, &c.request, &c.skip)
	}
	return p.view.Pick(ctx, &c.request, &c.skip)
}

// refuse tells gRPC what to do with a call that got no instance: wait for the
// next picker; fail with Unavailable, or wait if the caller is ready to; or end.
func (p *picker) refuse(c *cell) error {
	switch {
	case errors.Is(c.err, resolver.ErrNotReady):
		return gbalancer.ErrNoSubConnAvailable
	case errors.Is(c.err, balancer.ErrSkipped):
		if c.skip.coming {
			c.err = fmt.Errorf("%w: still connecting", c.err)
			return gbalancer.ErrNoSubConnAvailable
		}
		if c.skip.err == nil { // the decision stands, and its instances are gone
			return status.Error(codes.Unavailable, c.err.Error())
		}
		c.err = fmt.Errorf("%w: %w", c.err, c.skip.err)
		return c.err
	case errors.Is(c.err, balancer.ErrNoInstance), errors.Is(c.err, resolver.ErrUnknownService):
		return c.err
	}
	// Waiting cannot help. A picker may not end a call with every code; the
	// interceptors see to that.
	return status.Error(codes.Unavailable, c.err.Error())
}

// skip passes over instances without a ready connection, and remembers what it
// saw of them. It serves one pick.
type skip struct {
	conns conns
	gone  bool // an unknown address is one that has gone, not one to come

	coming bool  // a connection is being established
	err    error // why the last failed one did
}

// Skip implements balancer.Skip.
func (s *skip) Skip(e *balancer.Endpoint) bool {
	c, known := s.conns.get(e.Addr())
	switch {
	case c.ready != nil:
		return false
	case c.err != nil:
		s.err = c.err
	case known || !s.gone:
		s.coming = true
	}
	return true
}
