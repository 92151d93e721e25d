package httpx_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// byPath are the routes of the tests' gateways.
func byPath() httpx.Route {
	return httpx.ByPath(map[string]string{"/user": "user", "/order": "order", "/stock": "stock", "/bad": "a+b"})
}

// over is a route whose services speak a scheme.
func over(scheme string, route httpx.Route) httpx.Route {
	return func(r *http.Request) *url.URL {
		u := route(r)
		if u != nil {
			u.Scheme = scheme
		}
		return u
	}
}

// gateway starts a gateway, and returns it with a client that is a caller of it.
func (w *world) gateway(t *testing.T, route httpx.Route, opts ...httpx.ServerOption) (srv *httptest.Server, caller *http.Client) {
	t.Helper()
	transport := httpx.NewTransport(w.resolver, w.trust(nil))
	t.Cleanup(transport.Close)
	srv = httptest.NewServer(httpx.NewGateway(transport, route, opts...))
	t.Cleanup(srv.Close)
	caller = srv.Client()
	return srv, caller
}

func TestAGatewayForwardsByRoute(t *testing.T) {
	w := newWorld(t)
	for _, service := range []string{"user", "order"} {
		w.provide(t, service, service+"-v1", hello)
	}
	srv, c := w.gateway(t, byPath(), httpx.WithVersion("the gateway's"))
	for path, want := range map[string]string{
		"/user/a%2Fb?x=1&x=2": "user GET /a%2Fb?x=1&x=2",
		"/user":               "user GET /",
		"/order/":             "order GET /",
	} {
		resp := send(t.Context(), t, c, http.MethodGet, srv.URL+path, http.NoBody)
		assert.Equal(t, want, resp.Header.Get("X-Host")+" "+drained(t, resp))
		service, _, _ := strings.Cut(want, " ")
		assert.Equal(t, []string{service + "-v1"}, resp.Header["X-App-Version"], "the version of who answered")
	}
	_, body := get(t, c, srv.URL+httpx.HealthPath)
	assert.Equal(t, "ok\n", body, "its own health")
}

func TestAGatewaySpeaksToServicesInTheRoutesProtocol(t *testing.T) {
	for scheme, proto := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				content, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				rw.Header().Set("Trailer", "X-End")
				_, _ = io.WriteString(rw, r.Proto+" "+r.Host+" "+string(content))
				// Else HTTP/2 announces a length, and HTTP/1.1 has then no trailers.
				assert.NoError(t, http.NewResponseController(rw).Flush())
				rw.Header().Set("X-End", "yes")
			})
			route := httpx.ByHost(map[string]string{"user.example.com": "user"})
			srv, c := w.gateway(t, over(scheme, route))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("content"))
			require.NoError(t, err)
			req.Host = "user.example.com"
			resp, err := c.Do(req)
			require.NoError(t, err)
			assert.Equal(t, proto+" user content", drained(t, resp))
			assert.Equal(t, "yes", resp.Trailer.Get("X-End"))
		})
	}
}

func TestWhatAGatewaySaysOfItsCaller(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	sent := http.Header{
		"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example"},
		"X-Forwarded-Prefix": {"/x"}, "X-Real-Ip": {"192.0.2.1"},
		"X-Gray-Lane": {"canary"}, "X-User-Id": {"u1"}, "X-Own": {"1"},
		"Connection": {"X-Hop"}, "X-Hop": {"1"},
	}
	inside := http.Header{
		"X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example"},
		"X-Forwarded-Prefix": {"/x"}, "X-Real-Ip": {"192.0.2.1"},
		"X-Gray-Lane": {"canary"}, "Baggage": {"gray-lane=canary"}, "X-User-Id": {"u1"}, "X-Own": {"1"},
	}
	outside := http.Header{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"gateway.example"},
		"X-User-Id": {"u1"}, "X-Own": {"1"},
	}
	tests := []struct {
		name string
		opts []httpx.ServerOption
		want http.Header
	}{
		{name: "anybody", want: inside},
		{name: "outside of an edge", opts: []httpx.ServerOption{httpx.Edge()}, want: outside},
		{name: "a trusted peer", opts: []httpx.ServerOption{httpx.TrustedPeers(loopback)}, want: inside},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			seen := make(chan http.Header, 1)
			w.provide(t, "user", "v1", func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
			srv, c := w.gateway(t, byPath(), tc.opts...)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/user/", http.NoBody)
			require.NoError(t, err)
			req.Header = sent.Clone()
			req.Host = "gateway.example"
			resp, err := c.Do(req)
			require.NoError(t, err)
			drained(t, resp)
			got := <-seen
			for _, own := range []string{"Accept-Encoding", "User-Agent"} {
				got.Del(own)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestALaneGoesThroughAGatewayUnlessItIsAnEdge(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	canary := w.provide(t, "user", "v2", hello)
	in := canary.instance("v2")
	in.Metadata[registry.KeyLane] = "canary"
	require.NoError(t, canary.registration.Update(t.Context(), in))
	open, c := w.gateway(t, byPath())
	edge, _ := w.gateway(t, byPath(), httpx.Edge())
	require.Eventually(t, func() bool {
		version, _ := get(t, c, open.URL+"/user/", "x-gray-lane: canary")
		return version == "v2"
	}, patience, time.Millisecond)
	for range 20 {
		version, _ := get(t, c, open.URL+"/user/", "x-gray-lane: canary")
		assert.Equal(t, "v2", version)
		version, _ = get(t, c, edge.URL+"/user/", "x-gray-lane: canary")
		assert.Equal(t, "v1", version)
	}
}

func TestWhatAGatewayCannotForward(t *testing.T) {
	w := newWorld(t)
	none := registry.NewInstance("127.0.0.1:9")
	none.Enabled = false
	w.Set(registry.Service{Name: "order"}, none)
	w.Set(registry.Service{Name: "user"}, registry.NewInstance("127.0.0.1:1"))
	tests := []struct {
		name, path     string
		method, scheme string
		err            error // of the transport; nil: a real one
		status         int
		text           string
	}{
		{name: "no route", path: "/other", status: 404, text: "no route"},
		{name: "nobody ever registered", path: "/stock/", status: 404, text: "unknown service"},
		{name: "no service's name", path: "/bad/", status: 404, text: "unknown service"},
		{name: "no instance", path: "/order/", status: 503, text: "no instance"},
		{name: "nobody listens", path: "/user/", status: 502, text: "could not be reached"},
		{name: "a tunnel", path: "/user/", method: http.MethodConnect, status: 405, text: "no tunnel"},
		{name: "a scheme that is none", path: "/user/", scheme: "ftp", status: 502, text: "could not be reached"},
		{name: "unknown target", path: "/user/", err: balancer.ErrUnknownTarget, status: 400, text: "unknown target"},
		{name: "not ready", path: "/user/", err: errors.Join(resolver.ErrNotReady, context.DeadlineExceeded), status: 503, text: "not ready"},
		{name: "closed", path: "/user/", err: resolver.ErrClosed, status: 503, text: "not ready"},
		{name: "deadline", path: "/user/", err: context.DeadlineExceeded, status: 504, text: "in time"},
		{name: "timeout", path: "/user/", err: &net.OpError{Err: timeout{errors.New("late")}}, status: 504, text: "in time"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var rt http.RoundTripper = failingTrip{tc.err}
			if tc.err == nil {
				transport := httpx.NewTransport(w.resolver)
				defer transport.Close()
				rt = transport
			}
			route := byPath()
			if tc.scheme != "" {
				route = over(tc.scheme, route)
			}
			gw := httpx.NewGateway(rt, route, httpx.WithVersion("gateway"))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.path, http.NoBody)
			if tc.method != "" {
				r.Method = tc.method
			}
			rec := httptest.NewRecorder()
			gw.ServeHTTP(rec, r)
			assert.Equal(t, tc.status, rec.Code)
			assert.Contains(t, rec.Body.String(), tc.text)
			assert.Equal(t, 1, strings.Count(rec.Body.String(), "\n"), "one line")
			assert.NotContains(t, rec.Body.String(), "127.0.0.1")
			assert.Equal(t, tc.status == 503, rec.Header().Get("Retry-After") == "1")
		})
	}
}

func TestACallerThatLeftIsNoFailureOfTheService(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/user/", http.NoBody)
	httpx.NewGateway(failingTrip{context.Canceled}, byPath()).ServeHTTP(rec, r)
	assert.Equal(t, 499, rec.Code)
}

// timeout is an error of the network.
type timeout struct{ error }

func (timeout) Timeout() bool { return true }

// failingTrip is a transport that fails.
type failingTrip struct{ err error }

func (f failingTrip) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestABodyThatIsTooLargeIsTheCallersMistake(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", swallow)
	transport := httpx.NewTransport(w.resolver)
	defer transport.Close()
	gateway := httpx.NewGateway(transport, byPath())
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(nil, r.Body, 1000)
		gateway.ServeHTTP(rw, r)
	}))
	defer srv.Close()
	for size, want := range map[int]int{1000: http.StatusOK, 1001: http.StatusRequestEntityTooLarge} {
		body := struct{ io.Reader }{strings.NewReader(strings.Repeat("x", size))} // of unknown length
		resp := send(t.Context(), t, srv.Client(), http.MethodPost, srv.URL+"/user/", body)
		drained(t, resp)
		assert.Equal(t, want, resp.StatusCode, size)
	}
}

func TestAWebsocketGoesThroughAGateway(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", echo(t))
			srv, _ := w.gateway(t, over(scheme, byPath()))
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = io.WriteString(conn, "GET /user/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			require.NoError(t, err)
			lines := bufio.NewReader(conn)
			resp, err := http.ReadResponse(lines, nil) //nolint:bodyclose // there is none
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			assert.Equal(t, []string{"v1"}, resp.Header["X-App-Version"])
			for _, line := range []string{"one\n", "two\n"} {
				_, err = io.WriteString(conn, line)
				require.NoError(t, err)
				got, err := lines.ReadString('\n')
				require.NoError(t, err)
				assert.Equal(t, "echo "+line, got)
			}
			w.notDone(t)
			require.NoError(t, conn.(*net.TCPConn).CloseWrite()) //nolint:forcetypeassert // it was dialed so
			rest, err := io.ReadAll(lines)
			require.NoError(t, err)
			assert.Equal(t, "bye\n", string(rest), "the end of one way is not that of the other")
			assert.Equal(t, http.StatusSwitchingProtocols, w.outcome(t).Status)
		})
	}
}

func TestAGatewayStreams(t *testing.T) {
	w := newWorld(t)
	left := make(chan struct{}, 1)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, "first")
		_ = http.NewResponseController(rw).Flush()
		if r.URL.Path == "/break" {
			panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler breaks off
		}
		<-r.Context().Done()
		left <- struct{}{}
	})
	srv, c := w.gateway(t, byPath())

	t.Run("until the caller leaves", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp := send(ctx, t, c, http.MethodGet, srv.URL+"/user/", http.NoBody)
		first := make([]byte, 5)
		_, err := io.ReadFull(resp.Body, first)
		require.NoError(t, err)
		assert.Equal(t, "first", string(first), "before the answer has ended")
		w.notDone(t)
		cancel()
		select {
		case <-left:
		case <-time.After(patience):
			require.Fail(t, "the service serves nobody")
		}
		require.NoError(t, resp.Body.Close())
		require.ErrorIs(t, w.outcome(t).Err, context.Canceled)
	})
	t.Run("until the service breaks off", func(t *testing.T) {
		resp := send(t.Context(), t, c, http.MethodGet, srv.URL+"/user/break", http.NoBody)
		_, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the caller must not take half for the whole")
		require.NoError(t, resp.Body.Close())
		require.ErrorIs(t, w.outcome(t).Err, io.ErrUnexpectedEOF)
	})
}
