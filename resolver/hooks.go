package resolver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/registry"
)

// Hooks observe a resolver. A nil field is off. Hooks are called on the path
// that they observe: they must be quick, must not block, must not call the
// resolver's Close, and may be called concurrently. A panic of one is
// recovered and told to OnError.
type Hooks struct {
	// OnUpdate: a new state is in force.
	OnUpdate func(v *View, s *State)
	// OnPick: an attempt goes to an instance, or err says why not; then the call
	// has no instance, and no OnDone follows.
	OnPick func(ctx context.Context, c Call, err error)
	// OnDone: an attempt has ended.
	OnDone func(ctx context.Context, c Call, o Outcome, took time.Duration)
	// OnEvent: the resolver has protected requests, or has stopped doing so. What
	// events there are says Kind.
	OnEvent func(e Event)
	// OnError: something went wrong that no request is told about: a document was
	// refused or is gone, a watch ended.
	OnError func(s registry.Service, err error)
}

// Kind is the kind of an Event.
type Kind uint8

// The kinds of events.
const (
	// InstanceEjected: picks pass over an instance for a while; Event.Err is the failure
	// that did it.
	InstanceEjected Kind = iota + 1
	// InstanceReturned: an ejected instance has answered.
	InstanceReturned
	// TargetWithdrawn: the guard has withdrawn a target; its requests go to the default.
	TargetWithdrawn
	// TargetReturned: a withdrawn target has answered.
	TargetReturned
	// ListHeld: a list that is empty, or has lost many at once, is not believed yet.
	ListHeld
	// ListSettled: the instances that were held are back, or have proved to be gone.
	ListSettled
	// FromCache: a service is served from the disk cache, until the registry answers.
	FromCache
)

// String returns "instance ejected", "list held" and so on.
func (k Kind) String() string {
	names := [...]string{
		"", "instance ejected", "instance returned", "target withdrawn", "target returned",
		"list held", "list settled", "served from the cache",
	}
	if int(k) >= len(names) {
		return ""
	}
	return names[k]
}

// Event is something that has protected requests, or the end of it.
type Event struct {
	Kind    Kind
	Service registry.Service
	// Target is the target's name, Addr the instance's "ip:port", where there is one.
	Target, Addr string
	// Instances is how many are held, or are from the cache.
	Instances int
	// Err is why, nil if the kind says it.
	Err error
}

// Outcome is how an attempt ended.
type Outcome struct {
	// Err is what kept the attempt from an answer; an answer of any status is none.
	Err error
	// Status is the answer's HTTP status or gRPC code, see Call.Protocol.
	Status int
	// Version is what the server said of itself, "" if nothing.
	Version string
	// Leaving: the server said that it is about to end.
	Leaving bool
}

// verdict is what the attempt's end says about its instance. An application's NotFound
// is an answer, and a caller that left says nothing.
func (o *Outcome) verdict(protocol string) balancer.Verdict {
	var bad bool
	switch {
	case o.givenUp():
		return balancer.Nothing
	case o.Err != nil:
		switch reachedBy(o.Err) {
		case reachRefused, reachNot:
			return balancer.Unreachable
		case reachOurs:
			return balancer.Nothing
		case reachUnknown:
			bad = true
		}
	case protocol == "grpc":
		bad = o.Status == 4 || o.Status == 14 // DeadlineExceeded, Unavailable
	default:
		bad = o.Status >= 502 && o.Status <= 504
	}
	if bad {
		return balancer.Bad
	}
	return balancer.Good
}

// hooks are all hooks of a resolver, in the order they were given.
type hooks []Hooks

// guard tells of a target that the guard has withdrawn or given back.
func (h hooks) guard(c *Call, change balancer.Change, o *Outcome) {
	e := Event{Kind: TargetReturned, Service: c.Service(), Target: c.Decision.Target}
	if change == balancer.Ejected {
		e.Kind, e.Err = TargetWithdrawn, o.reason(c.Protocol())
	}
	h.event(e)
}

// reason says what was wrong.
func (o *Outcome) reason(protocol string) error {
	switch {
	case o.Err != nil:
		return o.Err
	case protocol == "grpc":
		return fmt.Errorf("grpc code %d", o.Status)
	}
	return fmt.Errorf("http status %d", o.Status)
}

// givenUp reports whether the attempt ended before anything was known about its
// instance: its caller left, or failed to say what to send, or it was not sent.
func (o *Outcome) givenUp() bool {
	return errors.Is(o.Err, context.Canceled) || errors.Is(o.Err, ErrUnsent) || errors.Is(o.Err, ErrGivenUp)
}

// Unsent reports whether the attempt did not reach its instance.
func (o *Outcome) Unsent() bool {
	return errors.Is(o.Err, ErrUnsent) || o.Err != nil && reachedBy(o.Err) != reachUnknown
}

func (h hooks) update(v *View, s *State) {
	for i := range h {
		if h[i].OnUpdate != nil {
			h.safely(v.key.service, "OnUpdate", func() { h[i].OnUpdate(v, s) })
		}
	}
}

// safely calls a hook. No goroutine of ours may end with it, and no request that is
// counted be lost: what it panics with is told to the hooks' OnError.
func (h hooks) safely(s registry.Service, name string, call func()) {
	defer func() {
		if p := recover(); p != nil && name != "OnError" {
			h.err(s, fmt.Errorf("resolver: the hook %s panicked: %v", name, p))
		}
	}()
	call()
}

func (h hooks) pick(ctx context.Context, c *Call, err error) {
	for i := range h {
		if h[i].OnPick != nil {
			h.safely(c.view.key.service, "OnPick", func() { h[i].OnPick(ctx, *c, err) })
		}
	}
}

func (h hooks) done(ctx context.Context, c *Call, o Outcome, took time.Duration) {
	for i := range h {
		if h[i].OnDone != nil {
			h.safely(c.view.key.service, "OnDone", func() { h[i].OnDone(ctx, *c, o, took) })
		}
	}
}

func (h hooks) event(e Event) {
	for i := range h {
		if h[i].OnEvent != nil {
			h.safely(e.Service, "OnEvent", func() { h[i].OnEvent(e) })
		}
	}
}

// health tells of an instance that was ejected by an attempt, or has returned with it.
func (h hooks) health(c *Call, change balancer.Change, o *Outcome) {
	e := Event{Kind: InstanceReturned, Service: c.Service(), Addr: c.Addr()}
	if change == balancer.Ejected {
		e.Kind, e.Err = InstanceEjected, o.reason(c.Protocol())
	}
	h.event(e)
}

func (h hooks) err(s registry.Service, err error) {
	for i := range h {
		if h[i].OnError != nil {
			h.safely(s, "OnError", func() { h[i].OnError(s, err) })
		}
	}
}
