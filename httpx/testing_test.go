package httpx_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// world is a registry, a resolver over it, and what the resolver's hooks saw.
type world struct {
	*memory.Registry
	resolver *resolver.Resolver
	done     chan resolver.Outcome
	events   chan resolver.Event
	authority
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	return ruled(tb, "")
}

// ruled is a world whose services have one rule document.
func ruled(tb testing.TB, text string, services ...string) *world {
	tb.Helper()
	w := &world{Registry: memory.New(), done: make(chan resolver.Outcome, 100), events: make(chan resolver.Event, 100)}
	docs := configmemory.New(nil)
	for _, name := range services {
		docs.Set(config.ServiceDocID(name), text)
	}
	var err error
	w.resolver, err = resolver.New(w, docs, resolver.WithSlowStart(0), resolver.WithHooks(resolver.Hooks{
		OnDone: func(_ context.Context, _ resolver.Call, o resolver.Outcome, _ time.Duration) {
			select {
			case w.done <- o:
			default: // a test that sends more than that does not look
			}
		},
		OnEvent: func(e resolver.Event) {
			select {
			case w.events <- e:
			default: // likewise
			}
		},
	}))
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, w.resolver.Close()) })
	return w
}

// noEvent checks that nothing has happened to an instance.
func (w *world) noEvent(t *testing.T) {
	t.Helper()
	select {
	case e := <-w.events:
		assert.Fail(t, "something has happened", "%+v", e)
	default:
	}
}

// outcome returns how the next attempt ended.
func (w *world) outcome(t *testing.T) resolver.Outcome {
	t.Helper()
	select {
	case o := <-w.done:
		return o
	case <-time.After(patience):
		require.Fail(t, "the attempt is not done")
		return resolver.Outcome{}
	}
}

// notDone checks that no attempt has ended.
func (w *world) notDone(t *testing.T) {
	t.Helper()
	select {
	case o := <-w.done:
		require.Fail(t, "the attempt is done", "%+v", o)
	default:
	}
}

// client returns a client whose connections end with the test, and which trusts
// the world's authority.
func (w *world) client(tb testing.TB, opts ...httpx.Option) *http.Client {
	tb.Helper()
	if w.roots != nil && len(opts) == 0 {
		opts = []httpx.Option{w.trust(nil)}
	}
	c := httpx.NewClient(w.resolver, opts...)
	tb.Cleanup(c.CloseIdleConnections)
	return c
}

// provider is an instance: a real server that is registered.
type provider struct {
	*httptest.Server
	opened, closed, requests atomic.Int64 // connections, connections, requests
	registration             registry.Registration
}

// provide serves h as an instance of service with a version.
func (w *world) provide(tb testing.TB, service, version string, h http.HandlerFunc) *provider {
	tb.Helper()
	return w.provideOver(tb, "http", service, version, h)
}

// provideOver is provide for a scheme; the certificate for https is the
// world's, for the service's name. Adjust is called before the server starts.
func (w *world) provideOver(
	tb testing.TB, scheme, service, version string, h http.HandlerFunc, adjust ...func(*http.Server),
) *provider {
	tb.Helper()
	p := &provider{}
	p.Server = httptest.NewUnstartedServer(httpx.Handler(http.HandlerFunc(
		func(rw http.ResponseWriter, r *http.Request) {
			p.requests.Add(1)
			h(rw, r)
		}), httpx.WithVersion(version)))
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	p.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			p.opened.Add(1)
		case http.StateClosed, http.StateHijacked:
			p.closed.Add(1)
		default:
		}
	}
	for _, f := range adjust {
		f(p.Config)
	}
	switch scheme {
	case "https":
		p.TLS = &tls.Config{Certificates: []tls.Certificate{w.issue(tb, service)}}
		p.EnableHTTP2 = true
		p.StartTLS()
	case "h2c":
		p.Config.Protocols = new(http.Protocols)
		p.Config.Protocols.SetUnencryptedHTTP2(true)
		p.Config.Protocols.SetHTTP1(true)
		p.Start()
	default:
		p.Start()
	}
	tb.Cleanup(p.Close)
	var err error
	p.registration, err = w.Register(tb.Context(), registry.Service{Name: service}, p.instance(version))
	require.NoError(tb, err)
	return p
}

// open returns how many connections are open.
func (p *provider) open() int64 { return p.opened.Load() - p.closed.Load() }

func (p *provider) instance(version string) registry.Instance {
	in := registry.NewInstance(p.Listener.Addr().String())
	in.Metadata = map[string]string{registry.KeyVersion: version}
	return in
}

// swallow reads a request, and answers nothing.
func swallow(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

// hello answers with what it was asked.
func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Host", r.Host)
	_, _ = io.WriteString(w, r.Method+" "+r.RequestURI)
}

// get sends a request with headers ("name: value") and returns the answer's
// version and body.
func get(tb testing.TB, c *http.Client, url string, headers ...string) (version, body string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(tb, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := c.Do(req)
	require.NoError(tb, err)
	return resp.Header.Get(httpx.VersionHeader), drained(tb, resp)
}

// fetch sends a request and reads the answer, from any goroutine.
func fetch(ctx context.Context, c *http.Client, method, url string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// drained reads and closes an answer's body.
func drained(tb testing.TB, resp *http.Response) string {
	tb.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	return string(b)
}

// closeable is a request's body that knows whether it was closed.
type closeable struct {
	io.Reader
	closed chan struct{}
	once   sync.Once
}

func newCloseable(r io.Reader) *closeable {
	return &closeable{Reader: r, closed: make(chan struct{})}
}

func (c *closeable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *closeable) requireClosed(t *testing.T) {
	t.Helper()
	select {
	case <-c.closed:
	case <-time.After(patience):
		require.Fail(t, "the body of the request is still open")
	}
}
