package httpx_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// running is a Serve that runs.
type running struct {
	addr   string
	cancel context.CancelFunc
	result chan error
}

// start serves h and waits until it is registered.
func start(t *testing.T, reg registry.Registrar, h http.HandlerFunc, opts ...httpx.ServerOption) *running {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s := &running{addr: ln.Addr().String(), cancel: cancel, result: make(chan error, 1)}
	go func() { s.result <- httpx.ServeListener(ctx, reg, "user", ln, h, opts...) }()
	t.Cleanup(cancel)
	return s
}

// health returns the status that a health check is answered; 0 if it is not.
func (s *running) health(t *testing.T, c *http.Client) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+httpx.HealthPath, http.NoBody)
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return 0
	}
	drained(t, resp)
	return resp.StatusCode
}

func (s *running) requireHealth(t *testing.T, want int) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool { return s.health(t, c) == want }, patience, time.Millisecond)
}

// requireLeaving checks that answers say that the server is about to end, and that the
// callers of a Transport are not told.
func (s *running) requireLeaving(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/", http.NoBody)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	drained(t, resp)
	assert.Equal(t, "1", resp.Header.Get(serving.LeavingHeader))

	w := newWorld(t)
	w.Set(registry.Service{Name: "user"}, registry.NewInstance(s.addr))
	req.URL.Host, req.Host = "user", ""
	resp, err = w.client(t).Do(req)
	require.NoError(t, err)
	drained(t, resp)
	assert.Empty(t, resp.Header.Get(serving.LeavingHeader))
	assert.True(t, w.outcome(t).Leaving)
}

func (s *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.result:
		return err
	case <-time.After(patience):
		require.Fail(t, "Serve does not end")
		return nil
	}
}

// late is a registrar that accepts an instance when it is told to.
type late struct {
	registry.Registrar
	accept chan struct{}
}

func (l late) Register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	g, err := l.Registrar.Register(ctx, s, in)
	return lateRegistration{g, l.accept}, err
}

type lateRegistration struct {
	registry.Registration
	accept chan struct{}
}

func (g lateRegistration) Ready(ctx context.Context) error {
	select {
	case <-g.accept:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestServeFromTheFirstRequestToTheLast(t *testing.T) {
	w := newWorld(t)
	reg := late{w.Registry, make(chan struct{})}
	running, release := make(chan struct{}), make(chan struct{})
	s := start(t, reg, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(running)
			<-release
		}
		_, _ = io.WriteString(rw, lane.From(r.Context()))
	}, httpx.WithVersion("v2"), httpx.WithLabels(map[string]string{"zone": "a"}))

	s.requireHealth(t, http.StatusServiceUnavailable)
	version, body := get(t, w.client(t), "http://user/", "x-gray-lane: canary")
	assert.Equal(t, "v2", version)
	assert.Equal(t, "canary", body, "who knows it is served")
	close(reg.accept)
	s.requireHealth(t, http.StatusOK)
	list := w.Instances(registry.Service{Name: "user"})
	require.Len(t, list, 1)
	assert.Equal(t, map[string]string{"protocol": "http", "version": "v2", "zone": "a"}, list[0].Metadata)

	answer := make(chan error, 1)
	c := w.client(t)
	go func() { answer <- fetch(t.Context(), c, http.MethodGet, "http://user/slow") }()
	<-running
	s.cancel()
	s.requireHealth(t, http.StatusServiceUnavailable)
	require.Eventually(t, func() bool { return len(w.Instances(registry.Service{Name: "user"})) == 0 }, patience, time.Millisecond)
	s.requireLeaving(t)   // it serves those who have not heard of it
	s.requireHealth(t, 0) // the port is closed, the request still runs
	select {
	case err := <-s.result:
		require.Fail(t, "Serve has left a request behind", "%v", err)
	default:
	}
	close(release)
	require.NoError(t, s.wait(t))
	require.NoError(t, <-answer, "the request that ran")
}

func TestServeSaysTheVersionThatWasRegistered(t *testing.T) {
	w := newWorld(t)
	s := start(t, registrarOf{w.Registry, "v9"}, hello, httpx.WithLinger(-1))
	s.requireHealth(t, http.StatusOK)
	version, _ := get(t, w.client(t), "http://user/")
	assert.Equal(t, "v9", version)
	s.cancel()
	require.NoError(t, s.wait(t))
}

// registrarOf fills in a version, as the environment may.
type registrarOf struct {
	*memory.Registry
	version string
}

func (r registrarOf) Register(ctx context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	in.Metadata[registry.KeyVersion] = r.version
	return r.Registry.Register(ctx, s, in)
}

func TestServeCutsRequestsOffThatOutliveTheDrain(t *testing.T) {
	w := newWorld(t)
	running := make(chan struct{})
	s := start(t, w, func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
	}, httpx.WithLinger(-1), httpx.WithDrainTimeout(10*time.Millisecond))
	c := w.client(t)
	s.requireHealth(t, http.StatusOK)
	answer := make(chan error, 1)
	go func() { answer <- fetch(t.Context(), c, http.MethodGet, "http://user/") }()
	<-running
	s.cancel()
	err := s.wait(t)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "cut off")
	require.Error(t, <-answer)
	require.Error(t, w.outcome(t).Err)
}

func TestServeFails(t *testing.T) {
	reg := memory.New()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, taken.Close()) }()

	t.Run("on a port that is taken", func(t *testing.T) {
		err := httpx.Serve(t.Context(), reg, "user", taken.Addr().String(), http.NotFoundHandler())
		require.ErrorContains(t, err, `httpx: serve "user": listen tcp`)
	})
	t.Run("on an address that nobody can reach", func(t *testing.T) {
		err := httpx.Serve(t.Context(), reg, "user", ":0", http.NotFoundHandler())
		require.ErrorIs(t, err, registry.ErrInvalid)
	})
	t.Run("without a registrar", func(t *testing.T) {
		err := httpx.Serve(t.Context(), nil, "user", "127.0.0.1:0", http.NotFoundHandler())
		require.ErrorContains(t, err, "no registrar")
	})
	t.Run("if its listener does", func(t *testing.T) {
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		err = httpx.ServeListener(t.Context(), reg, "user", ln, http.NotFoundHandler())
		require.ErrorIs(t, err, net.ErrClosed)
	})
	assert.Empty(t, reg.Instances(registry.Service{Name: "user"}))
}

func TestServeReportsARegistryThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	errs := make(chan error, 1)
	errGone := errors.New("gone")
	s := start(t, failing{errGone}, hello, httpx.WithOnError(func(err error) { errs <- err }))
	require.ErrorIs(t, <-errs, errGone)
	w.Set(registry.Service{Name: "user"}, registry.NewInstance(s.addr))
	_, body := get(t, w.client(t), "http://user/")
	assert.Equal(t, "GET /", body)
	s.requireHealth(t, http.StatusServiceUnavailable)
	s.cancel()
	require.NoError(t, s.wait(t))
}

type failing struct{ err error }

func (f failing) Register(context.Context, registry.Service, registry.Instance) (registry.Registration, error) {
	return nil, f.err
}

func TestARollingRestartUnderLoadFailsNoRequest(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			testRollingRestart(t, scheme)
		})
	}
}

func testRollingRestart(t *testing.T, scheme string) {
	t.Helper()
	w := newWorld(t)
	opts := []httpx.ServerOption{httpx.WithVersion("v1")}
	if scheme == "https" {
		opts = append(opts, httpx.WithTLS(&tls.Config{Certificates: []tls.Certificate{w.issue(t, "user")}}))
	}
	var servers []*running
	for range 3 {
		servers = append(servers, start(t, w, hello, opts...))
	}
	w.announced(t, 3)

	l := startLoad(t, w.client(t), 4, time.Millisecond, scheme+"://user/")
	for range 2 {
		oldest := servers[0]
		servers = append(servers[1:], start(t, w, hello, opts...))
		w.announced(t, 4)
		oldest.cancel()
		require.NoError(t, oldest.wait(t))
		l.more(t, 100)
	}
	l.end(t)
	t.Logf("FIGURE rolling restart over %s: %d requests, %d failed", scheme, l.sent.Load(), l.failed.Load())
	assert.Greater(t, l.sent.Load(), int64(500))

	for _, s := range servers {
		s.cancel()
	}
	for _, s := range servers {
		require.NoError(t, s.wait(t))
	}
}
