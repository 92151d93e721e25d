package resolver

import (
	"context"
	"sync"
	"time"

	"github.com/graylane/graylane/balancer"
)

// reviveFor is how long an instance that could not be reached is tried to be connected
// to; after that only requests try it.
const reviveFor = time.Minute

// reviver connects, every second or so, to the instances that could not be reached by
// requests, so that no request has to find out when they are back: until then they stay
// ejected, for as long as balancer has it. All of its fields belong to the goroutine of
// run.
type reviver struct {
	view *View
	dial dialFunc
	dead map[*balancer.Endpoint]int64 // until when they are tried
	back chan *balancer.Endpoint
	free chan struct{} // holds an element for each probe that runs
}

func newReviver(v *View) *reviver {
	return &reviver{
		view: v, dial: dialerOf(v.resolver.options.dial), dead: map[*balancer.Endpoint]int64{},
		back: make(chan *balancer.Endpoint), free: make(chan struct{}, maxProbes),
	}
}

// run tries until the view ends, and leaves no goroutine behind.
func (r *reviver) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-r.view.dead:
			r.dead[e] = r.view.resolver.now() + int64(reviveFor)
			if again == nil {
				again = time.After(pace(probeEvery))
			}
		case e := <-r.back:
			e.Reachable(r.view.resolver.now())
			delete(r.dead, e)
		case <-again:
			again = nil
			r.try(ctx, &wg)
			if len(r.dead) > 0 {
				again = time.After(pace(probeEvery))
			}
		}
	}
}

// listed returns the endpoints of the state in force.
func (r *reviver) listed() map[*balancer.Endpoint]bool {
	s := r.view.State()
	if s == nil {
		return nil
	}
	out := make(map[*balancer.Endpoint]bool, s.Snapshot.Len())
	for i := range s.Snapshot.Len() {
		out[s.Director.Endpoint(i)] = true
	}
	return out
}

// try connects to all of them, as far as others have come to an end.
func (r *reviver) try(ctx context.Context, wg *sync.WaitGroup) {
	now, listed := r.view.resolver.now(), r.listed()
	for e, until := range r.dead {
		if until < now || !e.Ejected(now) || !listed[e] {
			delete(r.dead, e)
			continue
		}
		select {
		case r.free <- struct{}{}:
		default:
			return // the next time
		}
		wg.Go(func() {
			defer func() { <-r.free }()
			if connect(ctx, r.dial, e.Addr()) != nil {
				return
			}
			select {
			case r.back <- e:
			case <-ctx.Done():
			}
		})
	}
}
