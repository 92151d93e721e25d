package nacos

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

// Config says which Nacos to connect to, and as whom: Servers ("host:port" of the
// HTTP API; gRPC is at port + 1000), Namespace ("" is public), Credentials, TLS
// and connection Labels. Package config/nacos takes the same.
type Config = nacosconn.Config

// Credentials prove to Nacos who we are; one value may serve several clients.
type Credentials = nacosconn.Credentials

// UserPassword returns credentials that log in with a user's name and password
// and renew the token in time.
func UserPassword(user, password string) Credentials {
	return nacosconn.UserPassword(user, password)
}

// Client is one connection to Nacos for the services of one namespace. It
// implements [registry.Watcher] and [registry.Registrar]; its methods may be
// called concurrently.
type Client struct {
	namespace string
	onError   func(registry.Service, error)
	session   *nacosconn.Session
	watches   *watches
	start     func(*publication) // runs it
	stop      context.CancelFunc
	life      context.Context //nolint:containedctx // the client's own, ended by Close
	done      sync.WaitGroup  // the publications

	mu           sync.Mutex // guards publications; locked before a publication's own
	publications map[registry.Service]*publication
}

var (
	_ registry.Watcher   = (*Client)(nil)
	_ registry.Registrar = (*Client)(nil)
)

// New returns a client. It does not wait for the network: an error is about the
// configuration, with every problem joined.
func New(cfg Config, opts ...Option) (*Client, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{
		namespace: cfg.Namespace, onError: o.onError, stop: stop, life: ctx,
		publications: make(map[registry.Service]*publication),
	}
	if cfg.Public() {
		c.namespace = registry.DefaultNamespace
	}
	c.start = func(p *publication) { c.done.Go(func() { p.run(ctx) }) }
	c.watches = nacosconn.NewTopics(c.follow)
	session, err := nacosconn.Open(cfg, nacosconn.ModuleNaming, nacosconn.Handler{
		OnService: c.pushed,
		OnError:   func(err error) { c.report(registry.Service{}, err) },
	})
	if err != nil {
		stop()
		return nil, err
	}
	c.session = session
	return c, nil
}

// Ready waits until the client is connected. When ctx ends first, the error says
// why it is not:
//
//	nacos 127.0.0.1:9848: connection refused (gRPC port = HTTP port + 1000)
func (c *Client) Ready(ctx context.Context) error { return closed(c.session.Ready(ctx)) }

// Reason returns why the client is not connected, nil if it is.
func (c *Client) Reason() error { return c.session.Reason() }

// Trying reports whether the client is not connected, and a server has not failed yet: it
// may be connected at any moment.
func (c *Client) Trying() bool { return c.session.Trying() }

// LocalAddr returns the local address of the connection to Nacos, or of the last
// one; false before the first. Who can be reached by Nacos's other clients is
// likely to be reached at this address.
func (c *Client) LocalAddr() (netip.Addr, bool) { return c.session.LocalAddr() }

// Close ends every Watch with [registry.ErrClosed] and closes the connection,
// whereupon Nacos drops what was registered. It waits for all goroutines, at most
// a moment even if the server hangs, and is idempotent.
func (c *Client) Close() error {
	c.mu.Lock()
	c.stop() // under mu: no publication starts after it
	c.mu.Unlock()
	c.watches.Close()
	c.done.Wait()
	return c.session.Close()
}

// service returns s with its defaults, or why it can never be found here.
func (c *Client) service(s registry.Service) (registry.Service, error) {
	if s.Namespace == "" {
		s.Namespace = c.namespace
	}
	s = s.WithDefaults()
	if err := s.Validate(); err != nil {
		return s, err
	}
	if s.Namespace != c.namespace {
		return s, fmt.Errorf("%w: service %v is not in namespace %q of this client", registry.ErrInvalid, s, c.namespace)
	}
	return s, nil
}

func (c *Client) report(s registry.Service, err error) {
	if c.onError != nil {
		c.onError(s, err)
	}
}
