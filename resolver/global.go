package resolver

import (
	"context"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// global is the global document in force, and what an edge makes of it.
type global struct {
	version[config.Global]
	entrance *balancer.Entrance
}

// globals returns the live global document, which is watched from the first call
// on; r.mu is held.
func (r *Resolver) globals() *live[global] {
	if r.global != nil {
		return r.global
	}
	r.global = newLive[global]()
	publish := func(doc version[config.Global]) {
		var prev *balancer.Entrance
		if g := r.global.value.Load(); g != nil {
			prev = g.entrance
		}
		r.global.publish(&global{doc, balancer.NewEntrance(doc.doc, r.options.balancer.Caller, prev)})
	}
	if r.source == nil {
		publish(version[config.Global]{})
		return r.global
	}
	d := document[config.Global]{
		resolver: r, service: registry.Service{}, id: config.GlobalDocID,
		parse: func(content []byte) (*config.Global, config.Problems) {
			return config.ParseGlobal(config.GlobalDocID, content)
		},
	}
	r.wg.Go(func() { d.watch(r.ctx, publish) })
	return r.global
}

// Entrance puts requests from outside into lanes, by the `enter` rules of the
// global document in force. The faces' option Enter uses it.
type Entrance struct {
	resolver *Resolver
	global   *live[global]
	late     time.Time // from then on nobody waits for the first answer about the document
}

// Entrance returns the resolver's entrance. The first call starts the watch of the
// global document. Of a resolver that is closed, it puts nobody into a lane.
func (r *Resolver) Entrance() *Entrance {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &Entrance{resolver: r, late: time.Now().Add(rulesWait)}
	if r.closed {
		e.global = newLive[global]()
	} else {
		e.global = r.globals()
	}
	return e
}

// Lane returns the lane that a request enters, "" for none. During the first 3 s
// it waits, under ctx, until the global document is known; then it neither blocks
// nor allocates.
func (e *Entrance) Lane(ctx context.Context, req config.Request) string {
	g := e.global.value.Load()
	if g == nil && time.Now().Before(e.late) {
		g = e.await(ctx)
	}
	if g == nil {
		return ""
	}
	return g.entrance.Lane(req)
}

func (e *Entrance) await(ctx context.Context) *global {
	ctx, cancel := context.WithDeadline(ctx, e.late)
	defer cancel()
	select {
	case <-e.global.known:
	case <-ctx.Done():
	case <-e.resolver.ctx.Done():
	}
	return e.global.value.Load()
}
