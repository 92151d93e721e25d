package resolver

import (
	"context"
	"fmt"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// State is one consistent view of a service: immutable. A request is decided by
// exactly one.
type State struct {
	// Sequence numbers the states of a view, from 1 on.
	Sequence uint64
	// Snapshot holds the instances that the view's protocol may use. Its revision
	// counts the changed lists of this view.
	Snapshot *registry.Snapshot
	// Rules is nil if no document was ever accepted, and so is Global.
	Rules    *config.Rules
	Global   *config.Global
	Director *balancer.Director
	// Cached says that the list is one of an earlier process, from the cache: the
	// registry has not answered yet.
	Cached bool
	// Held is how many instances are in use that the registry does not list any more, see
	// WithHold.
	Held int
	// RulesDoc and GlobalDoc say where Rules and Global come from, and whether newer ones
	// were refused.
	RulesDoc, GlobalDoc DocStatus
	// SeveralVersions: more than one version serves, since neither a rule document nor
	// the consumer says which is the default.
	SeveralVersions bool

	known bool                // the service has had an instance, of any protocol
	held  map[string]struct{} // IDs of those that are held
}

// Revision returns the md5 of the rule document in force, "" for none.
func (s *State) Revision() string {
	if s.Rules == nil {
		return ""
	}
	return s.Rules.MD5
}

// Known reports whether the service has ever had an instance, of any protocol.
func (s *State) Known() bool { return s.known }

// View is the live view of one service. Its methods may be called concurrently.
type View struct {
	resolver *Resolver
	key      viewKey
	ctx      context.Context //nolint:containedctx // the view's life
	cancel   context.CancelCauseFunc
	refs     int // guarded by Resolver.mu

	gone chan string             // IDs of instances of which requests found out that they are leaving, or gone
	dead chan *balancer.Endpoint // those that could not be reached

	live *live[State] // its value is nil again after the end
}

// newView starts a view; Resolver.mu is held.
func newView(r *Resolver, key viewKey) *View {
	ctx, cancel := context.WithCancelCause(r.ctx)
	v := &View{
		resolver: r, key: key,
		ctx: ctx, cancel: cancel,
		gone: make(chan string, evidence), dead: make(chan *balancer.Endpoint, evidence),
		live: newLive[State](),
	}
	r.wg.Go(newKeeper(v, r.globals()).run)
	return v
}

// Service returns whose view this is.
func (v *View) Service() registry.Service { return v.key.service }

// Protocol returns which instances the view holds: "http", "grpc", or "" for all.
func (v *View) Protocol() string { return v.key.protocol }

// String returns the service, and the protocol if the view is of one.
func (v *View) String() string {
	if v.key.protocol == "" {
		return v.key.service.String()
	}
	return v.key.service.String() + " over " + v.key.protocol
}

// State returns the state in force, nil before the first one and after Close.
func (v *View) State() *State { return v.live.value.Load() }

// Err returns why the view has ended: it was closed, or can never work. It is nil
// while the view lives.
func (v *View) Err() error { return context.Cause(v.ctx) }

// Synced returns when the registry last confirmed the list of the service, and when the
// source of documents last confirmed its rules, also if nothing had changed; the zero
// time if neither has yet, or cannot tell. What is older than some 12 s is stale: Nacos
// does not answer.
func (v *View) Synced() (list, rules time.Time) {
	if w, ok := v.resolver.watcher.(interface {
		Synced(s registry.Service) (time.Time, bool)
	}); ok {
		list, _ = w.Synced(v.key.service)
	}
	if s, ok := v.resolver.source.(interface {
		Synced(dataID string) (time.Time, bool)
	}); ok {
		rules, _ = s.Synced(config.ServiceDocID(v.key.service.Name))
	}
	return list, rules
}

// Ready waits until there is a state. When ctx ends first it returns ErrNotReady
// with the reason.
func (v *View) Ready(ctx context.Context) error {
	_, err := v.await(ctx)
	return err
}

// await returns the state in force, waiting for the first.
func (v *View) await(ctx context.Context) (*State, error) {
	select {
	case <-v.live.known:
	case <-v.ctx.Done():
	case <-ctx.Done():
		// Both may have ended; an answer that is there is better than an error.
		if v.live.value.Load() == nil && v.ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrNotReady, v.key.service, v.reason(ctx))
		}
	}
	if s := v.live.value.Load(); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %s", context.Cause(v.ctx), v.key.service)
}

// reason says why there is no first state, as far as the registry and the source
// of documents can tell.
func (v *View) reason(ctx context.Context) error {
	cause := context.Cause(ctx)
	for _, half := range []any{v.resolver.watcher, v.resolver.source} {
		if w, ok := half.(interface{ Reason() error }); ok {
			if err := w.Reason(); err != nil {
				return fmt.Errorf("%w: %w", err, cause)
			}
		}
	}
	return cause
}

// Watch calls fn with the state in force and after each change, until ctx or the
// view ends. All calls come from Watch's own goroutine; of states that follow
// each other quickly, only the latest may be reported. It returns the cause of
// its end.
func (v *View) Watch(ctx context.Context, fn func(*State)) error {
	return v.live.watch(ctx, v.ctx, fn)
}

// Close gives the view back; the last Close of a shared view ends it, and
// requests that still use it fail with ErrClosed. Call it once for each call of
// Resolver.View.
func (v *View) Close() { v.resolver.release(v) }
