package httpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
)

const (
	// readHeaderTimeout bounds how long a connection may take for a request's
	// header.
	readHeaderTimeout = 10 * time.Second
	// serverIdleTimeout is longer than the client's idleTimeout: the side that
	// sends requests closes idle connections, so that none is closed under a
	// request.
	serverIdleTimeout = 2 * idleTimeout
)

// Serve listens on addr ("host:port") and serves h as an instance of service
// until ctx ends; see [ServeListener]. The address must be one that consumers
// can reach, unless the registrar knows the host and replaces an empty one.
func Serve(
	ctx context.Context, reg registry.Registrar, service, addr string, h http.Handler, opts ...ServerOption,
) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("httpx: serve %q: %w", service, err)
	}
	return ServeListener(ctx, reg, service, ln, h, opts...)
}

// ServeListener serves h, wrapped by [Handler], on ln as an instance of service,
// in the namespace and group of reg, until ctx ends. It speaks HTTP/1.1 and
// HTTP/2, either in the clear (h2c, for clients that know) or with [WithTLS].
//
//   - It registers once the port accepts, with the label protocol=http, and then
//     answers health checks with 200. As long as the registry cannot be reached
//     it serves those who know its address, and reports to [WithOnError].
//   - When ctx ends it answers health checks with 503, withdraws the instance,
//     serves on until the consumers have seen that ([WithLinger]), waits for the
//     running requests ([WithDrainTimeout]), and closes. No request fails.
//
// It returns nil after such an end, otherwise why the server failed, or that
// running requests were cut off. It closes ln, takes no signals, and leaves
// nothing running but connections that a handler has hijacked.
func ServeListener(
	ctx context.Context, reg registry.Registrar, service string, ln net.Listener, h http.Handler, opts ...ServerOption,
) error {
	o := newServerOptions(opts)
	s := &server{handler: newHandler(h, o)}
	s.http = http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       serverIdleTimeout,
		TLSConfig:         o.tls.Clone(), // which net/http changes
		Protocols:         new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetHTTP2(o.tls != nil)
	s.http.Protocols.SetUnencryptedHTTP2(o.tls == nil)
	return o.Run(ctx, ln, s, reg, "httpx", service, protocol)
}

// server is a serving.Server.
type server struct {
	handler *handler
	http    http.Server
}

var _ serving.Server = (*server)(nil)

// Serve implements serving.Server.
func (s *server) Serve(ln net.Listener) error {
	serve := s.http.Serve
	if s.http.TLSConfig != nil {
		serve = func(ln net.Listener) error { return s.http.ServeTLS(ln, "", "") }
	}
	if err := serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Registered implements serving.Server.
func (s *server) Registered(in registry.Instance) { s.handler.setVersion(in.Version()) }

// SetReady implements serving.Server.
func (s *server) SetReady(ready bool) {
	if s.handler.ready.Swap(ready) && !ready {
		s.handler.leaving.Store(true)
	}
}

// Drain implements serving.Server.
func (s *server) Drain(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close implements serving.Server.
func (s *server) Close() error { return s.http.Close() }

// LastRequest implements serving.Server.
func (s *server) LastRequest() time.Time { return s.handler.lastRequest() }
