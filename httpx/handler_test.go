package httpx_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

func serve(t *testing.T, h http.Handler, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	req.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestHandlerCarriesHeadersIntoTheContext(t *testing.T) {
	sent := http.Header{
		"X-Gray-Lane": {"canary"}, "X-Gray-Version": {"v2"}, "X-User-Id": {"u1"},
		"X-User-Type": {"staff", "staff"}, "X-Tenant": {"acme"}, "X-Secret": {"s"},
	}
	tests := []struct {
		name string
		opts []httpx.ServerOption
		want map[string]string
	}{
		{
			name: "the default ones",
			want: map[string]string{"x-gray-lane": "canary", "x-gray-version": "v2", "x-user-id": "u1"},
		},
		{
			name: "those that are named, whatever their case",
			opts: []httpx.ServerOption{httpx.WithCarried("X-Tenant", lane.HeaderUser)},
			want: map[string]string{"x-tenant": "acme", "x-user-id": "u1"},
		},
		{name: "none", opts: []httpx.ServerOption{httpx.WithCarried()}, want: map[string]string{}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := map[string]string{}
			h := httpx.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				for name := range sent {
					if v, ok := lane.Header(r.Context(), name); ok {
						got[strings.ToLower(name)] = v
					}
				}
			}), tc.opts...)
			serve(t, h, "/", sent)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestHandlerSaysItsVersion(t *testing.T) {
	say := func(h http.HandlerFunc, opts ...httpx.ServerOption) []string {
		return serve(t, httpx.Handler(h, opts...), "/", nil).Header()["X-App-Version"]
	}
	assert.Equal(t, []string{"v2"}, say(hello, httpx.WithVersion("v2")))
	assert.Equal(t, []string{"v2"}, say(hello, httpx.WithLabels(map[string]string{"version": "v2"})))
	assert.Empty(t, say(hello), "what is not known is not said")
	assert.Equal(t, []string{"own"}, say(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(httpx.VersionHeader, "own")
	}, httpx.WithVersion("v2")), "the handler has the last word")
}

func TestHandlerAnswersHealthChecks(t *testing.T) {
	h := httpx.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		assert.Fail(t, "a health check is no request")
	}), httpx.WithVersion("v2"))
	w := serve(t, h, httpx.HealthPath, nil)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "ok\n", w.Body.String())
	assert.Equal(t, "v2", w.Header().Get(httpx.VersionHeader))
}

func TestAHandlerThatPanicsFailsOneRequestOnly(t *testing.T) {
	srv := httptest.NewUnstartedServer(httpx.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("boom") //nolint:forbidigo // that is the case
		}
		hello(w, r)
	})))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // net/http logs the panic
	srv.Start()
	defer srv.Close()
	require.ErrorIs(t, fetch(t.Context(), srv.Client(), http.MethodGet, srv.URL+"/panic"), io.EOF)
	_, body := get(t, srv.Client(), srv.URL+"/")
	assert.Equal(t, "GET /", body)
}

func TestALaneGoesOverTwoHops(t *testing.T) {
	w := newWorld(t)
	c := w.client(t)
	var seen string
	w.provide(t, "order", "v1", func(_ http.ResponseWriter, r *http.Request) { seen = lane.From(r.Context()) })
	w.provide(t, "user", "v1", func(_ http.ResponseWriter, r *http.Request) {
		assert.NoError(t, fetch(r.Context(), c, http.MethodGet, "http://order/"))
	})
	get(t, c, "http://user/", "x-gray-lane: canary")
	assert.Equal(t, "canary", seen)
}
