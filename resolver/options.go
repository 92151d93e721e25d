package resolver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Option configures a Resolver.
type Option func(*options)

type options struct {
	defaults registry.Service
	hooks    hooks
	balancer balancer.Options
	retries  int
	cache    Cache         // nil: none
	hold     time.Duration // 0: every list is obeyed
	dial     dialFunc      // of probes
	errors5  bool          // every HTTP status from 500 on is a failure
}

// WithNamespace sets the namespace of services; the default is
// registry.DefaultNamespace.
func WithNamespace(namespace string) Option {
	return func(o *options) { o.defaults.Namespace = namespace }
}

// WithGroup sets the group of services; the default is registry.DefaultGroup.
func WithGroup(group string) Option {
	return func(o *options) { o.defaults.Group = group }
}

// WithHooks adds hooks. It may be given several times; all are called, in order.
func WithHooks(h Hooks) Option {
	return func(o *options) { o.hooks = append(o.hooks, h) }
}

// WithDefaultVersion names the version that serves while a service has no rule
// document. Without it, every instance that is in no lane does.
func WithDefaultVersion(version string) Option {
	return func(o *options) { o.balancer.DefaultVersion = version }
}

// WithPolicy sets how an instance is picked where no document says so:
// config.Weighted, the default; config.Least; or config.Hash, by the key that
// WithHashKey gives a request, and by weight without one.
func WithPolicy(p config.Policy) Option {
	return func(o *options) { o.balancer.Policy = p }
}

// DefaultSlowStart is how long a new instance's weight takes to grow.
const DefaultSlowStart = 10 * time.Second

// DefaultHold is for how long instances are held, see WithHold.
const DefaultHold = holdLimit

// WithSlowStart sets how long the weight of an instance that has just appeared takes
// to grow from a tenth to the whole; default DefaultSlowStart, 0 disables. Those of
// the first list, and of as long a time after it, have their weight at once.
func WithSlowStart(d time.Duration) Option {
	return func(o *options) { o.balancer.SlowStart = d }
}

// WithRetries sets how often a request may be sent again, to another instance, where
// the document's `limits` do not say it; default DefaultRetries, 0 disables, at most
// MaxRetries. See Call.Retry.
func WithRetries(n int) Option {
	return func(o *options) { o.retries = n }
}

// WithDial sets how instances are connected to, to find out whether those that are held,
// or could not be reached, are there; the default is that of a net.Dialer. It is for
// programs whose requests take another way than that, a tunnel or a proxy.
func WithDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(o *options) { o.dial = dial }
}

// WithServerErrors makes every HTTP status from 500 on speak against the instance, as 502,
// 503 and 504 do by default: it is ejected for them, idempotent requests are sent
// again, and the guard counts them. For services whose 500 is no answer of the
// application.
func WithServerErrors() Option {
	return func(o *options) { o.errors5 = true }
}

// WithHold sets for how long instances are held, at most, that an empty list, or one
// that has lost more than 30 percent and more than one instance, does not have any more;
// default DefaultHold, 0 disables. A registry that was restarted, or whose nodes lose
// sight of each other, sends such lists too. Those held stay in use until they are listed
// again, or a connection to them is refused: a service that was really stopped is gone
// within a second or two.
func WithHold(d time.Duration) Option {
	return func(o *options) { o.hold = d }
}

// WithCaller sets the labels of this process, which rules ask for as caller.*.
func WithCaller(labels map[string]string) Option {
	return func(o *options) { o.balancer.Caller = maps.Clone(labels) }
}

func newOptions(w registry.Watcher, opts []Option) (options, error) {
	o := options{balancer: balancer.Options{SlowStart: DefaultSlowStart}, retries: DefaultRetries, hold: DefaultHold}
	for _, opt := range opts {
		opt(&o)
	}
	o.defaults = o.defaults.WithDefaults()
	var errs []error
	if w == nil {
		errs = append(errs, errors.New("resolver: a resolver needs a registry.Watcher"))
	}
	if o.balancer.Policy > config.Hash {
		errs = append(errs, fmt.Errorf("resolver: WithPolicy: there is no policy %d", o.balancer.Policy))
	}
	if o.balancer.SlowStart < 0 {
		errs = append(errs, fmt.Errorf("resolver: WithSlowStart: %s is negative", o.balancer.SlowStart))
	}
	if o.hold < 0 {
		errs = append(errs, fmt.Errorf("resolver: WithHold: %s is negative", o.hold))
	}
	if o.retries < 0 || o.retries > MaxRetries {
		errs = append(errs, fmt.Errorf("resolver: WithRetries: %d is not from 0 to %d", o.retries, MaxRetries))
	}
	return o, errors.Join(errs...)
}
