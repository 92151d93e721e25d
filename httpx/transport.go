package httpx

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// protocol is the label of instances that this package calls and announces.
const protocol = "http"

// maxUnknown is from how many services on those are dropped that never had an
// instance.
const maxUnknown = 100

// Schemes of the URLs that a Transport takes.
const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeH2C   = "h2c"
)

// Transport is an http.RoundTripper for URLs "http://service/path": it picks an
// instance of the service for each request and sends it there over connections
// that all requests share. The Host header stays the service's name.
//
// The scheme is the protocol that the service's instances speak: http is
// HTTP/1.1, h2c is HTTP/2 without TLS, and https is TLS, with HTTP/2 if the
// instance has it. A certificate must name the service, not the instance. Over
// HTTP/2 one connection to each instance carries all its requests, up to as many
// at a time as the instance allows; the pick is made for each request all the
// same. A request for a websocket goes over HTTP/1.1.
//
// The first request to a service starts watching it, and waits for the first
// list under the request's context. A Transport keeps the view of each service
// that it was asked for until Close; resolver.MaxServices bounds their number. Of
// services that never had an instance it keeps a hundred: their names may come
// from callers.
//
// A request that did not reach its instance, or failed and is idempotent, is sent to
// another instance of the same version (resolver.Call.Retry), if its body can be had
// again (GetBody). It is idempotent if its method is GET, HEAD, OPTIONS, TRACE, PUT or
// DELETE, if it has the header Idempotency-Key or X-Idempotency-Key, or if its context
// says so (resolver.WithIdempotent); it failed if it got no answer, or one with the
// status 502, 503 or 504. net/http itself repeats a request, on the same instance, whose
// connection was lost before the answer.
//
// The document's `limits` bound the time that each of these attempts waits for the
// head of its answer, and their number.
type Transport struct {
	resolver *resolver.Resolver
	plain    *http.Transport // for http
	h2c      *http.Transport
	secure   *http.Transport // what is cloned for each service

	// services has each service that was asked for by its name. Requests read it
	// without a lock; the map is never changed, only replaced.
	services atomic.Pointer[map[string]*service]

	// mu guards closed and the replacing of services. Resolver.View is called
	// under it, requests never wait for it once their service is there.
	mu     sync.Mutex
	closed bool
}

// service is what a Transport has of a service.
type service struct {
	view *resolver.View
	// tls connects to instances that prove to be the service. Connections of
	// another service to the same address, which may have proved something else,
	// are none of its own.
	tls *http.Transport
}

// NewTransport returns a Transport over the services of r. It starts nothing.
// Close it before r, or leave it: when r closes, only idle connections remain
// (CloseIdleConnections).
func NewTransport(r *resolver.Resolver, opts ...Option) *Transport {
	o := newOptions(opts)
	t := &Transport{resolver: r}
	var http1, http2, both http.Protocols
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	both.SetHTTP1(true)
	both.SetHTTP2(true)
	t.plain, t.h2c, t.secure = o.transport(http1), o.transport(http2), o.transport(both)
	t.services.Store(&map[string]*service{})
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkURL(req.URL); err != nil {
		return nil, refused(req, err)
	}
	a := newAttempt(req)
	// What can be had again is mostly in memory: net/http knows the readers of package
	// bytes and strings, sends them in one go with the header, and would not know them
	// in disguise.
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		a.kept = &kept{body: req.Body}
		a.out.Body = a.kept
	}
	s, err := t.pick(req.URL.Host, a)
	if err != nil {
		return nil, refused(req, err)
	}
	for {
		resp, err := a.roundTrip(t.carrier(s, a), req)
		next, resp, err := a.retry(req, resp, err)
		if next == nil {
			if a.kept != nil {
				a.kept.release()
			}
			return resp, err
		}
		a = next
	}
}

// pick picks an instance of the named service for an attempt.
func (t *Transport) pick(name string, a *attempt) (*service, error) {
	for again := false; ; again = true {
		s, err := t.service(name)
		if err != nil {
			return nil, err
		}
		a.call, err = s.view.Pick(a.out.Context(), request{&a.out}, nil)
		if err == nil || s.view.Err() == nil || again {
			return s, err
		}
		// The view has ended: it could not work, or was dropped as unknown while
		// this request had it. A new one may do better.
		t.drop(name, s)
	}
}

// carrier returns what speaks the protocol of an attempt's URL, and makes the
// URL one that it takes.
func (t *Transport) carrier(s *service, a *attempt) http.RoundTripper {
	switch a.url.Scheme {
	case schemeHTTPS:
		return s.tls
	case schemeH2C:
		a.url.Scheme = schemeHTTP
		if len(a.out.Header["Upgrade"]) == 0 {
			return t.h2c
		}
	}
	return t.plain
}

// refused closes the body of a request that was not sent, which is the duty of a
// RoundTripper, and returns err.
func refused(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close() // err is the one to know
	}
	return err
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.closeIdle(*t.services.Load()) }

func (t *Transport) closeIdle(services map[string]*service) {
	t.plain.CloseIdleConnections()
	t.h2c.CloseIdleConnections()
	for _, s := range services {
		s.tls.CloseIdleConnections()
	}
}

// Close gives back the views and closes idle connections; later requests fail
// with resolver.ErrClosed. Running requests are not disturbed. It is idempotent.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	services := *t.services.Swap(&map[string]*service{})
	t.mu.Unlock()
	for _, s := range services {
		s.view.Close()
	}
	t.closeIdle(services)
}

// service returns the named service.
func (t *Transport) service(name string) (*service, error) {
	if s := (*t.services.Load())[name]; s != nil {
		return s, nil
	}
	return t.open(name)
}

// open adds a service.
func (t *Transport) open(name string) (*service, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("httpx: service %q: %w", name, resolver.ErrClosed)
	}
	services := *t.services.Load()
	if s := services[name]; s != nil {
		return s, nil // opened by another request meanwhile
	}
	view, err := t.resolver.View(t.resolver.Service(name), protocol)
	if err != nil {
		return nil, fmt.Errorf("httpx: service %q: %w", name, err)
	}
	s := &service{view: view, tls: t.tls(name)}
	services = maps.Clone(services)
	if len(services) >= maxUnknown {
		dropUnknown(services)
	}
	services[name] = s
	t.services.Store(&services)
	return s, nil
}

// dropUnknown takes out the services that never had an instance, and gives their
// views back.
func dropUnknown(services map[string]*service) {
	maps.DeleteFunc(services, func(_ string, s *service) bool {
		st := s.view.State()
		unknown := st != nil && !st.Known()
		if unknown {
			s.view.Close()
			s.tls.CloseIdleConnections()
		}
		return unknown
	})
}

// drop takes out a service whose view has ended.
func (t *Transport) drop(name string, s *service) {
	t.mu.Lock()
	defer t.mu.Unlock()
	services := *t.services.Load()
	if services[name] != s {
		return // somebody else did
	}
	services = maps.Clone(services)
	delete(services, name)
	t.services.Store(&services)
	s.view.Close()
	s.tls.CloseIdleConnections()
}

// tls returns a transport whose servers must prove to be the service, and not,
// as net/http would have it, the address in the URL.
func (t *Transport) tls(service string) *http.Transport {
	c := t.secure.Clone()
	if c.TLSClientConfig == nil {
		c.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.TLSClientConfig.ServerName == "" {
		c.TLSClientConfig.ServerName = service
	}
	return c
}

// checkURL reports what a URL that names a service must not have.
func checkURL(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("httpx: the request has no URL")
	case u.Scheme != schemeHTTP && u.Scheme != schemeHTTPS && u.Scheme != schemeH2C:
		return fmt.Errorf("httpx: scheme %q is not supported: want http, https or h2c", u.Scheme)
	case u.Host == "":
		return errors.New("httpx: the URL has no host: want http://service/path")
	case strings.IndexByte(u.Host, ':') >= 0:
		return fmt.Errorf("httpx: host %q: a service has no port, the registry knows it: want http://service/path", u.Host)
	}
	return nil
}

// newAttempt prepares a copy of req, with what its context carries as headers.
// The caller's request is never changed: it may be read by others until its body
// is closed.
func newAttempt(req *http.Request) *attempt {
	a := &attempt{out: *req, url: *req.URL}
	a.out.URL = &a.url
	if a.out.Host == "" {
		a.out.Host = req.URL.Host
	}
	if ctx := req.Context(); lane.Injects(ctx, header(req.Header)) {
		// Values are shared with the caller's map: Inject sets, it never appends.
		a.out.Header = maps.Clone(req.Header)
		if a.out.Header == nil {
			a.out.Header = http.Header{}
		}
		lane.Inject(ctx, header(a.out.Header))
	}
	return a
}
