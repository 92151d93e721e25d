package resolver

import (
	"context"
	"errors"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

var (
	// ErrUnknownService: the registry answered, and the service has never had an
	// instance.
	ErrUnknownService = errors.New("resolver: unknown service")
	// ErrNotReady: the registry has not answered within the caller's context.
	ErrNotReady = errors.New("resolver: no instance list yet")
	// ErrClosed: the resolver or the view was closed.
	ErrClosed = errors.New("resolver: closed")
)

// Resolver makes views. Its methods may be called concurrently.
type Resolver struct{}

// Option configures a Resolver.
type Option func(*options)

type options struct{}

// New returns a resolver over a registry and a source of documents; without a
// source (nil) there are no rules. It starts nothing.
func New(w registry.Watcher, src config.Source, opts ...Option) (*Resolver, error) {
	panic("stub")
}

// WithHooks adds hooks; several are called in order.
func WithHooks(h Hooks) Option { panic("stub") }

// WithNamespace and group for Service(name).
func WithDefaults(s registry.Service) Option { panic("stub") }

// Service returns the full name of a service in the resolver's namespace and group.
func (r *Resolver) Service(name string) registry.Service { panic("stub") }

// View returns the live view of a service; the first call starts the watch.
// Views of one service and protocol are shared; each call needs one View.Close.
// Protocol ("http", "grpc" or "") hides instances labelled with another one.
func (r *Resolver) View(s registry.Service, protocol string) (*View, error) { panic("stub") }

// Close ends all watches, waits for every goroutine, and fails later calls with
// ErrClosed. It is idempotent.
func (r *Resolver) Close() error { panic("stub") }

// State is one consistent view of a service: immutable.
type State struct {
	// Snapshot holds the instances that the view's protocol may use.
	Snapshot *registry.Snapshot
	// Rules is nil if no document was ever accepted.
	Rules    *config.Rules
	Director *balancer.Director
}

// View is the live view of one service. Its methods may be called concurrently.
type View struct{}

// Service returns whose view this is.
func (v *View) Service() registry.Service { panic("stub") }

// State returns the state in force, nil before the first list.
func (v *View) State() *State { panic("stub") }

// Ready waits until there is a state; when ctx ends first it returns ErrNotReady
// with the reason.
func (v *View) Ready(ctx context.Context) error { panic("stub") }

// Watch calls fn with the state in force and after each change (latest wins),
// from one goroutine, until ctx ends or the view closes.
func (v *View) Watch(ctx context.Context, fn func(*State)) error { panic("stub") }

// Close gives the view back; the last Close of a view ends its watch.
func (v *View) Close() { panic("stub") }

// Pick decides about a request and picks an instance that skip (nil: none) does
// not pass over. It waits for the first state under ctx; after that it neither
// blocks nor allocates. Errors: *balancer.Error (ErrNoInstance,
// ErrUnknownTarget, ErrSkipped), ErrUnknownService, ErrNotReady, ErrClosed.
//
// Without an error the request counts as in flight until Call.Done.
func (v *View) Pick(ctx context.Context, req config.Request, skip balancer.Skip) (Call, error) {
	panic("stub")
}

// Call is one attempt of one request: where it goes, and why. Copies are the
// same attempt.
type Call struct {
	Decision balancer.Decision
	Attempt  int // 1 for the first
	State    *State
	endpoint *balancer.Endpoint
	instance *registry.Instance
}

// Addr returns the instance's "ip:port".
func (c *Call) Addr() string { return c.instance.Addr }

// Instance returns the instance, read-only.
func (c *Call) Instance() *registry.Instance { return c.instance }

// Next picks again under the same decision and state: an instance that this
// request has not tried, as long as there is one. The attempt c must be Done.
func (c *Call) Next(skip balancer.Skip) (Call, error) { panic("stub") }

// Done ends the attempt. Call it once.
func (c *Call) Done(ctx context.Context, o Outcome) { panic("stub") }

// Outcome is how an attempt ended.
type Outcome struct {
	// Err is what kept the attempt from an answer; an answer of any status is none.
	Err error
	// Status is the HTTP status or the gRPC code of the answer.
	Status int
	// Version is what the server said of itself, "" if nothing.
	Version string
}

// Hooks observe a resolver. A nil field is off. Hooks are called on the path
// that they observe: they must be quick, must not block, and may be called
// concurrently.
type Hooks struct {
	// OnUpdate: a new state is in force.
	OnUpdate func(Update)
	// OnPick: an attempt goes to an instance, or err says why not.
	OnPick func(ctx context.Context, c Call, err error)
	// OnDone: an attempt has ended.
	OnDone func(ctx context.Context, c Call, o Outcome, took time.Duration)
	// OnError: something went wrong that no request is told about: a refused
	// document, a failed watch.
	OnError func(service registry.Service, err error)
}

// Update is a change of a view's state.
type Update struct {
	Service registry.Service
	State   *State
}
