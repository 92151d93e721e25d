package resolver

import (
	"context"
	"fmt"
	"math"

	"github.com/graylane/graylane/config"
)

// Switches are the live feature switches of a service: those of its document
// switches.<service>.yaml and, where that has none of a name, those of
// switches._global.yaml. Their methods may be called concurrently.
//
// A getter returns def while nothing is known, if there is no such switch, and if
// the switch is of another type. It never blocks. The rules of a switch are asked
// about the request in ctx: what the server sides of httpx and grpcx put there,
// and what package lane carries.
type Switches struct {
	resolver *Resolver
	service  string
	ctx      context.Context //nolint:containedctx // the switches' life
	cancel   context.CancelCauseFunc
	live     *live[switches]
}

// switches are the two documents in force.
type switches struct{ own, global *config.Switches }

// Switches returns the live switches of a service, and starts to watch them. Each
// call has a watch of its own and needs one Close. Without a source of documents
// there are none.
//
// Errors: ErrClosed, registry.ErrInvalid.
func (r *Resolver) Switches(service string) (*Switches, error) {
	if err := r.Service(service).Validate(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	s := &Switches{resolver: r, service: service, ctx: ctx, cancel: cancel, live: newLive[switches]()}
	if r.source == nil {
		s.live.publish(&switches{})
		return s, nil
	}
	r.wg.Go(s.run)
	return s, nil
}

// run follows both documents until the end.
func (s *Switches) run() {
	own, global := newMailbox[version[config.Switches]](), newMailbox[version[config.Switches]]()
	for id, box := range map[string]*mailbox[version[config.Switches]]{
		config.SwitchesDocID(s.service): own, config.GlobalSwitchesDocID: global,
	} {
		d := document[config.Switches]{
			resolver: s.resolver, id: id,
			parse: func(content []byte) (*config.Switches, config.Problems) {
				return config.ParseSwitches(id, content)
			},
		}
		if id != config.GlobalSwitchesDocID {
			d.service = s.resolver.Service(s.service)
		}
		s.resolver.wg.Go(func() { d.watch(s.ctx, box.put) })
	}
	var now switches
	waiting := map[*mailbox[version[config.Switches]]]bool{own: true, global: true}
	for {
		var box *mailbox[version[config.Switches]]
		select {
		case <-s.ctx.Done():
			return
		case <-own.full:
			box = own
		case <-global.full:
			box = global
		}
		doc := box.take()
		if doc == nil {
			continue
		}
		delete(waiting, box)
		if box == own {
			now.own = doc.doc
		} else {
			now.global = doc.doc
		}
		if len(waiting) == 0 {
			state := now
			s.live.publish(&state)
		}
	}
}

// Ready waits until both documents are known: there, or known to be absent. When
// ctx ends first it returns ErrNotReady.
func (s *Switches) Ready(ctx context.Context) error {
	select {
	case <-s.live.known:
	case <-s.ctx.Done():
	case <-ctx.Done():
	}
	// Several may have ended; an answer that is there is better than an error.
	switch {
	case s.live.value.Load() != nil:
		return nil
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	return fmt.Errorf("%w: the switches of %s: %w", ErrNotReady, s.service, context.Cause(ctx))
}

// Watch calls fn when the switches are known and after each change of one of the
// documents, for code that must act on a change, until ctx or the switches end.
// All calls come from Watch's own goroutine; several changes may be one call. It
// returns the cause of its end.
func (s *Switches) Watch(ctx context.Context, fn func()) error {
	return s.live.watch(ctx, s.ctx, func(*switches) { fn() })
}

// Close ends the watch; what is known stays. It is idempotent.
func (s *Switches) Close() { s.cancel(ErrClosed) }

// Bool returns a switch that is true or false.
func (s *Switches) Bool(ctx context.Context, name string, def bool) bool {
	if v, ok := s.value(ctx, name).Bool(); ok {
		return v
	}
	return def
}

// Int returns a switch that is a whole number.
func (s *Switches) Int(ctx context.Context, name string, def int) int {
	if v, ok := s.value(ctx, name).Int(); ok && v >= math.MinInt && v <= math.MaxInt {
		return int(v)
	}
	return def
}

// Float returns a switch that is a number.
func (s *Switches) Float(ctx context.Context, name string, def float64) float64 {
	if v, ok := s.value(ctx, name).Float(); ok {
		return v
	}
	return def
}

// String returns a switch that is a string.
func (s *Switches) String(ctx context.Context, name, def string) string {
	if v, ok := s.value(ctx, name).Text(); ok {
		return v
	}
	return def
}

// value returns the value of a switch for the request in ctx, the zero Value if
// there is no such switch.
func (s *Switches) value(ctx context.Context, name string) config.Value {
	now := s.live.value.Load()
	if now == nil {
		return config.Value{}
	}
	found := now.own.Lookup(name)
	if found == nil {
		found = now.global.Lookup(name)
	}
	if found == nil {
		return config.Value{}
	}
	return found.Value(requestOf(ctx), s.resolver.options.balancer.Caller)
}
