package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
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

func TestAnEdgePutsRequestsFromOutsideIntoLanes(t *testing.T) {
	r, err := resolver.New(memory.New(), configmemory.New(map[string]string{config.GlobalDocID: `
gray: v1
enter:
- {name: testers, when: {header.x-tester: "yes", path: {prefix: /a}, lane: {exists: false}}, lane: blue}
- {name: asked, when: {header.x-gray-version: v2}, lane: red}
`}))
	require.NoError(t, err)
	defer r.Close()
	tens := netip.MustParsePrefix("10.0.0.0/8")
	for _, c := range []struct {
		name    string
		header  http.Header
		options []httpx.ServerOption
		lane    string
	}{
		{"a tester", http.Header{"X-Tester": {"yes"}}, nil, "blue"},
		{"nobody", nil, nil, ""},
		{"a tester who asks for a lane", http.Header{"X-Tester": {"yes"}, "X-Gray-Lane": {"green"}, "Baggage": {"gray-lane=green"}}, nil, "blue"},
		{"who asks for a version", http.Header{"X-Gray-Version": {"v2"}}, nil, ""},
		{"who may ask for a version", http.Header{"X-Gray-Version": {"v2"}}, []httpx.ServerOption{httpx.Edge("x-gray-version")}, "red"},
		{"who may ask for a lane", http.Header{"X-Tester": {"yes"}, "X-Gray-Lane": {"green"}}, []httpx.ServerOption{httpx.Edge("x-gray-lane")}, "green"},
		{"by baggage", http.Header{"X-Tester": {"yes"}, "Baggage": {"gray-lane=green"}}, []httpx.ServerOption{httpx.Edge("baggage")}, "green"},
		{"a trusted peer", http.Header{"X-Tester": {"yes"}}, []httpx.ServerOption{httpx.TrustedPeers(tens)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a/b", http.NoBody)
			req.RemoteAddr = "10.0.0.1:1"
			req.Header = c.header.Clone()
			got := "not called"
			httpx.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = lane.From(r.Context())
				assert.Equal(t, c.lane, r.Header.Get("X-Gray-Lane")+r.Header.Get("Baggage")[min(len(r.Header.Get("Baggage")), len("gray-lane=")):])
			}), append(c.options, httpx.Enter(r))...).ServeHTTP(httptest.NewRecorder(), req)
			assert.Equal(t, c.lane, got)
			assert.Equal(t, c.header, req.Header, "the caller's request is not written")
		})
	}
}

func TestRulesOfSwitchesAskAboutTheReceivedRequest(t *testing.T) {
	r, err := resolver.New(memory.New(), configmemory.New(map[string]string{config.SwitchesDocID("shop"): `
gray: v1
switches:
  new:
    value: false
    rules:
    - {name: a, when: {path: /new, method: POST, query.q: "1", cookie.c: d, header.x-free: e, user: u}, value: true}
`}))
	require.NoError(t, err)
	defer r.Close()
	s, err := r.Switches("shop")
	require.NoError(t, err)
	require.NoError(t, s.Ready(t.Context()))
	for target, want := range map[string]bool{"/new?q=1": true, "/old?q=1": false, "/new": false} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, http.NoBody)
		req.Header = http.Header{"X-Free": {"e"}, "Cookie": {"c=d"}, "X-User-Id": {"u"}}
		httpx.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, want, s.Bool(r.Context(), "new", false), target)
		})).ServeHTTP(httptest.NewRecorder(), req)
	}
}
