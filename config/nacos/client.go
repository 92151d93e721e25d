package nacos

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/nacosconn"
)

// Config says which Nacos to connect to, and as whom: Servers ("host:port" of the
// HTTP API; gRPC is at port + 1000), Namespace ("" is public), Credentials, TLS
// and connection Labels. Package registry/nacos takes the same.
type Config = nacosconn.Config

// Credentials prove to Nacos who we are; one value may serve several clients.
type Credentials = nacosconn.Credentials

// UserPassword returns credentials that log in with a user's name and password
// and renew the token in time.
func UserPassword(user, password string) Credentials {
	return nacosconn.UserPassword(user, password)
}

var (
	// ErrClosed says that the client was used after its Close.
	ErrClosed = errors.New("nacos: client closed")
	// ErrInvalid is in every error about a document that can never be watched or
	// published.
	ErrInvalid = errors.New("nacos: invalid")
)

// cipherPrefix marks documents that a key service encrypts.
const cipherPrefix = "cipher-"

// Client is one connection to Nacos for the documents of one namespace and group.
// It implements [config.Source] and [config.Publisher]; its methods may be called
// concurrently.
type Client struct {
	cfg     Config
	group   string
	onError func(string, error)
	session *nacosconn.Session
	watches *watches
	stop    context.CancelFunc
	life    context.Context //nolint:containedctx // the client's own, ended by Close
	done    sync.WaitGroup  // the listener

	relisten chan struct{} // holds one element when the documents to listen to have changed

	mu   sync.Mutex      // guards held
	held map[string]held // by data ID
}

// held is a document that was read.
type held struct {
	md5    string // the server's digest
	usable bool   // watchers have it
}

var (
	_ config.Source    = (*Client)(nil)
	_ config.Publisher = (*Client)(nil)
)

// New returns a client. It does not wait for the network: an error is about the
// configuration, with every problem joined.
func New(cfg Config, opts ...Option) (*Client, error) {
	o, err := newOptions(opts)
	if err := errors.Join(cfg.Validate(), err); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{
		cfg: cfg, group: o.group, onError: o.onError, stop: stop, life: ctx,
		relisten: make(chan struct{}, 1), held: make(map[string]held),
	}
	c.watches = nacosconn.NewTopics(c.follow)
	session, err := nacosconn.Open(cfg, nacosconn.ModuleConfig, nacosconn.Handler{
		OnConfig: c.notified,
		OnError:  func(err error) { c.report("", err) },
	})
	if err != nil {
		stop()
		return nil, err
	}
	c.session = session
	c.done.Go(func() { c.listen(ctx) })
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
// one; false before the first.
func (c *Client) LocalAddr() (netip.Addr, bool) { return c.session.LocalAddr() }

// Close ends every Watch with [ErrClosed] and closes the connection. It waits for
// all goroutines, at most a moment even if the server hangs, and is idempotent.
func (c *Client) Close() error {
	c.stop()
	c.watches.Close()
	c.done.Wait()
	return c.session.Close()
}

func (c *Client) key(dataID string) nacosconn.ConfigKey { return c.cfg.Key(c.group, dataID) }

func (c *Client) report(dataID string, err error) {
	if c.onError != nil {
		c.onError(dataID, err)
	}
}

// check reports why a document can never be watched or published.
func check(dataID string) error {
	if strings.HasPrefix(dataID, cipherPrefix) {
		return fmt.Errorf("%w: %q: documents that a key service encrypts (%s) are not supported", ErrInvalid, dataID, cipherPrefix)
	}
	return checkName("data ID", dataID)
}

func checkName(what, v string) error {
	if err := nacosconn.CheckName(what, v); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// closed replaces the session's error by the package's.
func closed(err error) error {
	if errors.Is(err, nacosconn.ErrClosed) {
		return ErrClosed
	}
	return err
}
