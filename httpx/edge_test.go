package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

func TestAnEdgeTakesOffWhatOnlyInsidersMaySay(t *testing.T) {
	inside, outside := "10.0.0.1:1234", "192.0.2.1:1234"
	for _, c := range []struct {
		name, peer    string
		option        httpx.ServerOption
		lane, version string
		baggage       string
	}{
		{"no edge", outside, httpx.WithVersion("v1"), "blue", "v2", "a=b,gray-lane=blue"},
		{"edge", outside, httpx.Edge(), "", "", "a=b"},
		{"an edge that keeps the version", outside, httpx.Edge("X-Gray-Version"), "", "v2", "a=b"},
		{"an edge that keeps the header of the lane", outside, httpx.Edge("x-gray-lane"), "blue", "", "a=b"},
		{"an edge that keeps baggage", outside, httpx.Edge("baggage"), "blue", "", "a=b,gray-lane=blue"},
		{"a trusted peer", inside, httpx.TrustedPeers(netip.MustParsePrefix("10.0.0.0/8")), "blue", "v2", "a=b,gray-lane=blue"},
		{"another peer", outside, httpx.TrustedPeers(netip.MustParsePrefix("10.0.0.0/8")), "", "", "a=b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			req.RemoteAddr = c.peer
			req.Header.Set("X-Gray-Lane", "blue")
			req.Header.Set("X-Gray-Version", "v2")
			req.Header.Set("X-User-Id", "u1")
			req.Header.Set("Baggage", "a=b,gray-lane=blue")
			before := req.Header.Clone()
			called := false
			httpx.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				called = true
				version, _ := lane.Header(r.Context(), lane.HeaderVersion)
				assert.Equal(t, c.lane, lane.From(r.Context()))
				assert.Equal(t, c.version, version)
				assert.Equal(t, "u1", lane.User(r.Context()))
				assert.Equal(t, c.version, r.Header.Get("X-Gray-Version"), "nor does the handler see it")
				assert.Equal(t, c.baggage, r.Header.Get("Baggage"))
			}), c.option).ServeHTTP(httptest.NewRecorder(), req)
			assert.True(t, called)
			assert.Equal(t, before, req.Header, "the caller's request is not written")
		})
	}
}

func TestAnEdgeTakesOffBaggageThatHoldsNothingElse(t *testing.T) {
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	req.Header.Set("Baggage", "gray-lane=blue")
	httpx.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.NotContains(t, r.Header, "Baggage")
	}), httpx.Edge()).ServeHTTP(httptest.NewRecorder(), req)
}
