package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Call is one attempt of one request: where it goes, and why. It is a value;
// copies are the same attempt.
type Call struct {
	Decision balancer.Decision
	// State is what the request was decided on; retries stay with it.
	State *State
	// Attempt is 1 for the first.
	Attempt int

	view     *View
	endpoint *balancer.Endpoint
	instance *registry.Instance
	tried    []*balancer.Endpoint // by former attempts
	began    int64                // on the resolver's clock
	wait     time.Duration        // before Next, see MayRetry
	heard    bool                 // it does not wait for its first byte any more
	answered bool                 // it is no load any more, see Answered
}

// Pick decides about a request and picks an instance that skip (nil: none) does
// not pass over. It waits for the first state under ctx; once there is one it
// neither blocks nor allocates. Errors: *balancer.Error (ErrNoInstance,
// ErrUnknownTarget, ErrSkipped), ErrUnknownService, ErrNotReady, ErrClosed.
//
// Without an error the request counts as in flight until Call.Done. With one, the
// call that is returned serves Call.Again.
func (v *View) Pick(ctx context.Context, req config.Request, skip balancer.Skip) (Call, error) {
	c, err := v.pick(ctx, req, skip, -1)
	v.resolver.budget.count()
	v.resolver.options.hooks.pick(ctx, &c, err)
	return c, err
}

// Again picks for a request for which Pick, or Again, could not be made use of:
// all candidates were skipped, say, and one of them may be ready now. It follows
// the state of now, but a slot that was drawn for the request stays. Hooks are
// told of a success only: they know of the failure.
func (c *Call) Again(ctx context.Context, req config.Request, skip balancer.Skip) (Call, error) {
	n, err := c.view.pick(ctx, req, skip, c.Decision.Slot)
	if err == nil {
		c.view.resolver.options.hooks.pick(ctx, &n, nil)
	}
	return n, err
}

// pick decides, with a slot drawn before (-1: none), and picks.
func (v *View) pick(ctx context.Context, req config.Request, skip balancer.Skip, slot int) (Call, error) {
	c := Call{view: v, State: v.live.value.Load(), Attempt: 1, began: v.resolver.now(), Decision: balancer.Decision{Slot: slot}}
	if c.State == nil {
		var err error
		if c.State, err = v.await(ctx); err != nil {
			return c, err
		}
		c.began = v.resolver.now()
	}
	var err error
	if c.Decision, err = c.State.Director.DecideAt(req, slot, c.began); err != nil {
		if !c.State.known && errors.Is(err, balancer.ErrNoInstance) {
			err = fmt.Errorf("%w: %s has never had an instance", ErrUnknownService, v.key.service)
		}
		return c, err
	}
	if c.State.Director.Hashes() {
		if key, ok := ctx.Value(hashKey{}).(string); ok {
			c.Decision.HashBy(key)
		}
	}
	if !c.take(skip) {
		c.State.Director.Forgo(&c.Decision, c.began)
		err = c.skipped()
	}
	return c, err
}

// take picks an instance for the attempt; false if all are skipped.
func (c *Call) take(skip balancer.Skip) bool {
	i, e := c.State.Director.Pick(&c.Decision, balancer.Pick{Skip: skip, Now: c.began})
	if i < 0 {
		return false
	}
	c.endpoint, c.instance = e, c.State.Snapshot.At(i)
	c.Decision.Begin(e, c.began)
	return true
}

func (c *Call) skipped() error {
	return &balancer.Error{Service: c.view.key.service.Name, Decision: c.Decision, Err: balancer.ErrSkipped}
}

// Next picks again under the same decision and state: an instance that this
// request has not tried, as long as skip leaves one; else a tried one. It returns
// a *balancer.Error with ErrSkipped if skip passes over all of them. The attempt c
// must be done.
func (c *Call) Next(ctx context.Context, skip balancer.Skip) (Call, error) {
	n := Call{
		Decision: c.Decision, State: c.State, Attempt: c.Attempt + 1, view: c.view, began: c.view.resolver.now(),
		tried: append(slices.Clip(c.tried), c.endpoint),
	}
	var err error
	if !n.take(others{n.tried, skip}) && !n.take(skip) {
		err = n.skipped()
	}
	c.view.resolver.options.hooks.pick(ctx, &n, err)
	return n, err
}

// limit returns the document's limits of requests to the call's target.
func (c *Call) limit() (config.Limit, bool) {
	if c.State == nil || c.State.Rules == nil {
		return config.Limit{}, false
	}
	l, ok := c.State.Rules.Limits[c.Decision.Target]
	return l, ok
}

// others skips what was tried, and what the caller skips.
type others struct {
	tried []*balancer.Endpoint
	skip  balancer.Skip
}

func (o others) Skip(e *balancer.Endpoint) bool {
	return slices.Contains(o.tried, e) || o.skip != nil && o.skip.Skip(e)
}

// Streaming says that the attempt is of a stream, which may be silent for long: that
// speaks against nobody.
func (c *Call) Streaming() {
	if !c.heard {
		c.heard = true
		c.endpoint.Unheard()
	}
}

// Began says that the attempt's answer has begun, with the status of o. What comes
// after that, the length of a body or a slow reader of it, says nothing about the
// instance. Calling it is not required.
func (c *Call) Began(o Outcome) {
	if o.Leaving {
		c.left()
	}
	if !c.heard {
		c.hear(&o, c.verdict(&o), c.view.resolver.now())
	}
}

// evidence is how many findings of requests may wait for those who act on them; more
// are dropped, others will find the same.
const evidence = 256

// left tells the hold that the instance is leaving or gone, if it may be held.
func (c *Call) left() {
	if c.State.Held == 0 {
		return
	}
	select {
	case c.view.gone <- c.instance.ID:
	default:
	}
}

// another reports whether an answer says that another version than that of the instance
// is at its address. Those who are held may long have been replaced.
func (c *Call) another(o *Outcome) bool {
	return o.Version != "" && c.State.Held > 0 && c.instance.Version() != "" && o.Version != c.instance.Version()
}

// lost says that the instance could not be reached.
func (c *Call) lost(o *Outcome) {
	if reachedBy(o.Err) == reachRefused {
		c.left()
	}
	select {
	case c.view.dead <- c.endpoint:
	default:
	}
}

// Verdict returns what an outcome says about the instance that the attempt went to.
func (c *Call) Verdict(o Outcome) balancer.Verdict { return c.verdict(&o) }

func (c *Call) verdict(o *Outcome) balancer.Verdict {
	v := o.verdict(c.Protocol())
	if v == balancer.Good && o.Status >= 500 && c.Protocol() == "http" && c.view.resolver.options.errors5 {
		return balancer.Bad
	}
	return v
}

// hear tells the endpoint how long the first byte took. A quick failure is none.
func (c *Call) hear(o *Outcome, v balancer.Verdict, now int64) {
	took := time.Duration(now - c.began)
	c.heard = true
	switch {
	case v == balancer.Good:
		c.endpoint.Heard(took, now)
	case o.Err == nil:
		c.endpoint.Heard(0, now)
	default:
		c.endpoint.Unheard()
	}
	if c.State.Director.Timed() {
		if v == balancer.Nothing {
			c.endpoint.ObserveAtLeast(took, now)
		} else {
			c.endpoint.Observe(took, v != balancer.Good, now)
		}
	}
}

// Answered says that the attempt may go on for long though it was answered: a stream,
// or a connection that was upgraded. From now on it is no load of its instance. Done
// must follow all the same.
func (c *Call) Answered() {
	c.Streaming()
	if !c.answered {
		c.answered = true
		c.Decision.Done(c.endpoint)
	}
}

// Done ends the attempt: the instance has one request less in flight. Call it
// once, as soon as the attempt's outcome is known; it returns quickly.
func (c *Call) Done(ctx context.Context, o Outcome) {
	if !c.answered {
		c.Decision.Done(c.endpoint)
	}
	now, v := c.view.resolver.now(), c.verdict(&o)
	took := time.Duration(now - c.began)
	if v > balancer.Good && c.overslept(ctx, took) {
		v = balancer.Nothing
	}
	if !c.heard {
		c.hear(&o, v, now)
	} else if v > balancer.Good && c.State.Director.Timed() {
		c.endpoint.Observe(took, true, now)
	}
	if change := c.Decision.Judge(c.endpoint, v, took, now); change != balancer.NoChange {
		c.view.resolver.options.hooks.health(c, change, &o)
	}
	if v == balancer.Unreachable {
		c.lost(&o)
	}
	if o.Leaving || c.another(&o) {
		c.left()
	}
	if change := c.State.Director.Count(&c.Decision, v, c.began, now); change != balancer.NoChange {
		c.view.resolver.options.hooks.guard(c, change, &o)
	}
	c.view.resolver.options.hooks.done(ctx, c, o, took)
}

// oversleep is how long after its time an attempt ends that this process has slept
// through: it was stopped, or starved. That is more than a busy one is late.
const oversleep = 100 * time.Millisecond

// overslept reports whether the attempt ends so long after its time was up that the
// reason is this process, and its failure says nothing about the instance.
func (c *Call) overslept(ctx context.Context, took time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Since(end) > oversleep {
		return true
	}
	limit := c.Timeout()
	return limit > 0 && !c.heard && took > limit+oversleep
}

// Protocol returns the protocol of the view: "http", "grpc", or "" for all. It
// tells what Outcome.Status means.
func (c *Call) Protocol() string { return c.view.key.protocol }

// Service returns whose instance was called.
func (c *Call) Service() registry.Service { return c.view.key.service }

// Instance returns the picked instance, read-only; nil if none was.
func (c *Call) Instance() *registry.Instance { return c.instance }

// Addr returns the picked instance's "ip:port".
func (c *Call) Addr() string { return c.instance.Addr }
