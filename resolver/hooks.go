package resolver

import (
	"context"
	"errors"
	"time"

	"github.com/graylane/graylane/registry"
)

// Hooks observe a resolver. A nil field is off. Hooks are called on the path
// that they observe: they must be quick, must not block, must not call the
// resolver's Close, and may be called concurrently.
type Hooks struct {
	// OnUpdate: a new state is in force.
	OnUpdate func(v *View, s *State)
	// OnPick: an attempt goes to an instance, or err says why not; then the call
	// has no instance, and no OnDone follows.
	OnPick func(ctx context.Context, c Call, err error)
	// OnDone: an attempt has ended.
	OnDone func(ctx context.Context, c Call, o Outcome, took time.Duration)
	// OnError: something went wrong that no request is told about: a document was
	// refused or is gone, a watch ended.
	OnError func(s registry.Service, err error)
}

// Outcome is how an attempt ended.
type Outcome struct {
	// Err is what kept the attempt from an answer; an answer of any status is none.
	Err error
	// Status is the answer's HTTP status or gRPC code, see Call.Protocol.
	Status int
	// Version is what the server said of itself, "" if nothing.
	Version string
}

// failed reports whether the attempt failed for a reason that speaks against its
// instance: no answer, or one that says that the server is not able to. An
// application's NotFound is an answer, and a caller that left is no failure.
func (o *Outcome) failed(protocol string) bool {
	switch {
	case o.Err != nil:
		return !o.givenUp()
	case protocol == "grpc":
		return o.Status == 4 || o.Status == 14 // DeadlineExceeded, Unavailable
	}
	return o.Status >= 502 && o.Status <= 504
}

// givenUp reports whether the attempt ended before anything was known about its
// instance: its caller left, or it was not sent.
func (o *Outcome) givenUp() bool {
	return errors.Is(o.Err, context.Canceled) || errors.Is(o.Err, ErrUnsent)
}

// hooks are all hooks of a resolver, in the order they were given.
type hooks []Hooks

func (h hooks) update(v *View, s *State) {
	for i := range h {
		if h[i].OnUpdate != nil {
			h[i].OnUpdate(v, s)
		}
	}
}

func (h hooks) pick(ctx context.Context, c *Call, err error) {
	for i := range h {
		if h[i].OnPick != nil {
			h[i].OnPick(ctx, *c, err)
		}
	}
}

func (h hooks) done(ctx context.Context, c *Call, o Outcome) {
	var took time.Duration
	for i := range h {
		if h[i].OnDone == nil {
			continue
		}
		if took == 0 {
			took = time.Since(c.start)
		}
		h[i].OnDone(ctx, *c, o, took)
	}
}

// timed reports whether somebody wants to know how long attempts take.
func (h hooks) timed() bool {
	for i := range h {
		if h[i].OnDone != nil {
			return true
		}
	}
	return false
}

func (h hooks) err(s registry.Service, err error) {
	for i := range h {
		if h[i].OnError != nil {
			h[i].OnError(s, err)
		}
	}
}
