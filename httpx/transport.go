package httpx

import (
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

// Transport is an http.RoundTripper for URLs "http://service/path": it picks an
// instance of the service for each request and sends it there over connections
// that all requests share. The Host header stays the service's name.
//
// The first request to a service starts watching it, and waits for the first
// list under the request's context. A Transport keeps the view of each service
// that it was asked for until Close; resolver.MaxServices bounds their number.
//
// A request with an error has reached the instance or not, as with net/http: a
// Transport does not retry on another instance.
type Transport struct {
	resolver *resolver.Resolver
	base     *http.Transport

	// views has the view of each service by its name. Requests read it without a
	// lock; the map is never changed, only replaced.
	views atomic.Pointer[map[string]*resolver.View]

	// mu guards closed and the replacing of views. Resolver.View is called under
	// it, requests never wait for it once their service has a view.
	mu     sync.Mutex
	closed bool
}

// NewTransport returns a Transport over the services of r. It starts nothing.
// Close it before r, or leave it: when r closes, only idle connections remain
// (CloseIdleConnections).
func NewTransport(r *resolver.Resolver, opts ...Option) *Transport {
	t := &Transport{resolver: r, base: newOptions(opts).transport()}
	t.views.Store(&map[string]*resolver.View{})
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	view, err := t.view(req.URL)
	if err != nil {
		return nil, refused(req, err)
	}
	a := newAttempt(req)
	if a.call, err = view.Pick(req.Context(), request{&a.out}, nil); err != nil {
		return nil, refused(req, err)
	}
	return a.roundTrip(t.base, req) //nolint:contextcheck // the attempt has the request's
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
func (t *Transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// Close gives back the views and closes idle connections; later requests fail
// with resolver.ErrClosed. Running requests are not disturbed. It is idempotent.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	views := *t.views.Swap(&map[string]*resolver.View{})
	t.mu.Unlock()
	for _, v := range views {
		v.Close()
	}
	t.base.CloseIdleConnections()
}

// view returns the view of the service that a URL names.
func (t *Transport) view(u *url.URL) (*resolver.View, error) {
	if err := checkURL(u); err != nil {
		return nil, err
	}
	if v := (*t.views.Load())[u.Host]; v != nil {
		return v, nil
	}
	return t.open(u.Host)
}

// open adds a view.
func (t *Transport) open(service string) (*resolver.View, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("httpx: service %q: %w", service, resolver.ErrClosed)
	}
	views := *t.views.Load()
	if v := views[service]; v != nil {
		return v, nil // opened by another request meanwhile
	}
	v, err := t.resolver.View(t.resolver.Service(service), protocol)
	if err != nil {
		return nil, fmt.Errorf("httpx: service %q: %w", service, err)
	}
	views = maps.Clone(views)
	views[service] = v
	t.views.Store(&views)
	return v, nil
}

// checkURL reports what a URL that names a service must not have.
func checkURL(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("httpx: the request has no URL")
	case u.Scheme != "http":
		return fmt.Errorf("httpx: scheme %q is not supported: want http://service/path", u.Scheme)
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
	if ctx := req.Context(); lane.Injects(ctx) {
		// Values are shared with the caller's map: Inject sets, it never appends.
		a.out.Header = maps.Clone(req.Header)
		if a.out.Header == nil {
			a.out.Header = http.Header{}
		}
		lane.Inject(ctx, header(a.out.Header))
	}
	return a
}
