package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

// hops is front, which asks back, which has an instance in lane blue.
type hops struct {
	*world
	client *http.Client
	front  *provider
	said   http.Header // what the stable instance of back was sent last
}

func newHops(t *testing.T, opts ...httpx.ServerOption) *hops {
	t.Helper()
	h := &hops{world: newWorld(t)}
	h.client = h.world.client(t)
	blue := h.provide(t, "back", "v1", hello)
	in := blue.instance("v1")
	in.Metadata["lane"] = "blue"
	require.NoError(t, blue.registration.Update(t.Context(), in))
	h.provide(t, "back", "v1", func(w http.ResponseWriter, r *http.Request) {
		h.said = r.Header.Clone()
		w.Header().Set("X-Lane", lane.From(r.Context()))
	})
	blue.Config.Handler = httpx.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Lane", "blue instance, "+lane.From(r.Context()))
	}))
	front := func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://back/", http.NoBody)
		if !assert.NoError(t, err) {
			return
		}
		resp, err := h.client.Do(req)
		if !assert.NoError(t, err) {
			return
		}
		_ = resp.Body.Close()
		w.Header().Set("X-Lane", resp.Header.Get("X-Lane"))
	}
	h.front = h.provide(t, "front", "v1", hello)
	h.front.Config.Handler = httpx.Handler(http.HandlerFunc(front), opts...)
	return h
}

// ask sends a request as a plain client and returns the answer's status, and where it was
// answered.
func (h *hops) ask(t *testing.T, base string, header http.Header) (status int, where string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, http.NoBody)
	require.NoError(t, err)
	req.Header = header
	resp, err := h.front.Client().Do(req)
	require.NoError(t, err)
	drained(t, resp)
	return resp.StatusCode, resp.Header.Get("X-Lane")
}

// TestALaneBehindAProxyThatTakesItsHeaderOff: a caller may name x-gray-lane as a header of
// the connection alone.
func TestALaneBehindAProxyThatTakesItsHeaderOff(t *testing.T) { // F49
	h := newHops(t)
	target, err := url.Parse(h.front.URL)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	defer proxy.Close()
	for _, c := range []struct {
		name   string
		header http.Header
		want   string
	}{
		{"no lane", nil, ""},
		{"header", http.Header{"X-Gray-Lane": {"blue"}}, "blue instance, blue"},
		{"header that is taken off", http.Header{"X-Gray-Lane": {"blue"}, "Connection": {"x-gray-lane"}}, ""},
		{
			"header that is taken off, baggage stays",
			http.Header{"X-Gray-Lane": {"blue"}, "Baggage": {"gray-lane=blue"}, "Connection": {"x-gray-lane"}},
			"blue instance, blue",
		},
		{
			"both are taken off",
			http.Header{"X-Gray-Lane": {"blue"}, "Baggage": {"gray-lane=blue"}, "Connection": {"x-gray-lane, baggage"}},
			"",
		},
		{"the header says one, baggage another", http.Header{"X-Gray-Lane": {"blue"}, "Baggage": {"gray-lane=green"}}, "blue instance, blue"},
		{"the other way round", http.Header{"X-Gray-Lane": {"green"}, "Baggage": {"gray-lane=blue"}}, "green"},
		{"baggage names two", http.Header{"Baggage": {"gray-lane=blue,gray-lane=green"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.said = nil
			status, where := h.ask(t, proxy.URL, c.header)
			assert.Equal(t, http.StatusOK, status)
			assert.Equal(t, c.want, where)
			if c.want == "green" { // no instance is in it: to the default, which is told one lane alone
				assert.Equal(t, []string{"green"}, h.said["X-Gray-Lane"])
				assert.Equal(t, []string{"gray-lane=green"}, h.said["Baggage"])
			}
		})
	}
}

// TestHeadersOfAnySizeAreNoErrorOfOurs: what is too large for a lane ends at the first
// service, whose request is one without a lane.
func TestHeadersOfAnySizeAreNoErrorOfOurs(t *testing.T) { // F47
	h := newHops(t)
	for _, size := range []int{8 << 10, 64 << 10, 1<<20 - 8<<10} {
		large := strings.Repeat("b", size)
		for name, header := range map[string]http.Header{
			"lane":    {"X-Gray-Lane": {large}},
			"user":    {"X-User-Id": {large}},
			"baggage": {"Baggage": {large + "=c,gray-lane=blue"}},
		} {
			h.said = nil
			status, where := h.ask(t, h.front.URL, header)
			require.Equal(t, http.StatusOK, status, "%s of %d bytes", name, size)
			assert.Empty(t, where, "%s of %d bytes", name, size)
			for _, name := range []string{"X-Gray-Lane", "X-User-Id", "Baggage"} {
				assert.NotContains(t, h.said, name)
			}
		}
	}
	before := h.front.requests.Load()
	status, _ := h.ask(t, h.front.URL, http.Header{"X-Gray-Lane": {strings.Repeat("b", 2<<20)}})
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status, "net/http's own limit")
	assert.Equal(t, before, h.front.requests.Load())

	// The same through a client of ours: such an answer is not asked for again.
	h.provide(t, "third", "v1", hello)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://third/", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("X-Gray-Lane", strings.Repeat("b", 2<<20))
	for len(h.done) > 0 {
		<-h.done
	}
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answers(t, h.client, req))
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, h.outcome(t).Status)
	h.notDone(t)
}

// TestASpoofedLaneReachesNobody: a hundred requests from outside, in every spelling.
func TestASpoofedLaneReachesNobody(t *testing.T) { // F48
	outside := newHops(t, httpx.Edge())
	trusted := newHops(t, httpx.TrustedPeers(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")))
	for _, header := range []http.Header{
		{"X-Gray-Lane": {"blue"}},
		{"x-gray-lane": {"blue"}},
		{"X-GRAY-LANE": {"blue"}},
		{"Baggage": {"gray-lane=blue"}},
		{"baggage": {"a=b", "gray-lane=blue;p=q"}},
		{"X-Gray-Lane": {"blue"}, "Baggage": {"gray-lane=blue"}, "X-Forwarded-For": {"127.0.0.1"}, "Forwarded": {"for=127.0.0.1"}},
	} {
		for range 17 {
			_, where := outside.ask(t, outside.front.URL, header)
			assert.Empty(t, where, "%v", header)
		}
		_, where := trusted.ask(t, trusted.front.URL, header)
		assert.Equal(t, "blue instance, blue", where, "%v", header)
	}
}
