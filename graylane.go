package graylane

import (
	"context"
	"fmt"
	"sync"

	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/internal/disk"
	registrynacos "github.com/graylane/graylane/registry/nacos"
	"github.com/graylane/graylane/resolver"
)

// Client is one process's door to Nacos. It announces instances, as a
// registry.Registrar, and its resolver follows services and rules. Its methods
// may be called concurrently.
type Client struct {
	settings  settings
	naming    *registrynacos.Client
	rules     *confignacos.Client
	resolver  *resolver.Resolver
	announcer *announce.Announcer // nil: none
	cache     *disk.Store         // nil: none

	// ctx ends with Close; it is the life of the announcer, and of the registrations
	// that wait for an address to announce, whose goroutines waiting counts.
	ctx     context.Context //nolint:containedctx // the client's own life, not a caller's
	cancel  context.CancelFunc
	waiting sync.WaitGroup

	mu      sync.Mutex // guards closed, and that waiting does not grow after it
	closed  bool
	closing sync.Once
}

// Open returns a client of the Nacos that options and environment name. It does
// not wait for Nacos, which may be down: the client connects, and connects
// again, in the background; Ready waits for it. ctx bounds Open alone.
//
// An error has every problem of the options and the environment, each with the
// name of what to mend. The client needs one Close.
func Open(ctx context.Context, opts ...Option) (*Client, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("graylane: open: %w", context.Cause(ctx))
	}
	o := newOptions(opts)
	s, err := o.check()
	if err != nil {
		return nil, err
	}
	return connect(o, s) //nolint:contextcheck // the client outlives Open
}

// connect makes the parts of a client. What can be said against the settings was
// said: an error here is about what only the parts know.
func connect(o *options, s settings) (c *Client, err error) {
	c = &Client{settings: s}
	c.announcer = c.newAnnouncer(o)
	if c.naming, err = registrynacos.New(s.nacos, registrynacos.WithOnError(c.reportNaming(o))); err != nil {
		return nil, fmt.Errorf("graylane: %w", err)
	}
	if c.rules, err = confignacos.New(s.nacos, confignacos.WithOnError(o.reportDocument)); err != nil {
		_ = c.naming.Close()
		return nil, fmt.Errorf("graylane: %w", err)
	}
	opts := o.resolverOptions(&s)
	if c.cache = o.openCache(); c.cache != nil {
		opts = append(opts, resolver.WithCache(scoped{c.cache, s.scope()}))
	}
	if c.announcer != nil {
		opts = append(opts, resolver.WithHooks(resolver.Hooks{OnUpdate: c.announcer.Updated}))
	}
	if c.resolver, err = resolver.New(c.naming, c.rules, opts...); err != nil {
		_ = c.naming.Close()
		_ = c.rules.Close()
		c.closeCache()
		return nil, fmt.Errorf("graylane: %w", err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if c.announcer != nil {
		c.start(func() { c.announcer.Run(c.ctx) })
	}
	return c, nil
}

// Ready waits until the client is connected to Nacos, for instances and for
// documents. When ctx ends first, the error has the reason of the last failure,
// such as "nacos 127.0.0.1:9848: connection refused (gRPC port = HTTP port +
// 1000)".
func (c *Client) Ready(ctx context.Context) error {
	if err := c.naming.Ready(ctx); err != nil {
		return fmt.Errorf("graylane: not ready: %w", err)
	}
	if err := c.rules.Ready(ctx); err != nil {
		return fmt.Errorf("graylane: not ready: %w", err)
	}
	return nil
}

// Resolver returns the client's resolver, which the faces httpx and grpcx take.
// It ends with the client's Close.
func (c *Client) Resolver() *resolver.Resolver { return c.resolver }

// Close ends everything that the client runs, and waits for it, at most 2 s even
// if Nacos hangs. Nacos forgets the instances that were registered here; to
// leave in an orderly way, close their registrations first, as the faces' Serve
// does. It is idempotent.
func (c *Client) Close() error {
	c.closing.Do(func() {
		// From the consumers of events to their sources, so that nothing is told to
		// somebody who has gone. The two connections end side by side: each may
		// take its time with a server that hangs.
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.cancel()
		c.waiting.Wait()
		_ = c.resolver.Close()
		c.closeCache()
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.naming.Close() })
		wg.Go(func() { _ = c.rules.Close() })
		wg.Wait()
	})
	return nil
}

// start runs f on a goroutine that Close waits for; not after Close.
func (c *Client) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.waiting.Go(f)
	}
	return !c.closed
}
