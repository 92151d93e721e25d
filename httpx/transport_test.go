package httpx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestEveryRequestIsPicked(t *testing.T) {
	w := newWorld(t)
	var providers []*provider
	for _, version := range []string{"v1", "v1", "v1", "v2", "v2"} {
		providers = append(providers, w.provide(t, "user", version, hello))
	}
	c := w.client(t)
	for i := range 1_000 {
		want := []string{"v1", "v2"}[i%2]
		version, body := get(t, c, "http://user/hello", "x-gray-version: "+want)
		require.Equal(t, want, version, "request %d", i)
		require.Equal(t, "GET /hello", body)
	}
	for i, p := range providers {
		assert.LessOrEqual(t, p.opened.Load(), int64(2), "connections to provider %d; net/http gives one up that it had to wait 50 ms for", i)
		assert.NotZero(t, p.requests.Load(), "requests to provider %d", i)
	}
}

func TestAChangedVersionReroutesOverTheSameConnections(t *testing.T) {
	w := newWorld(t)
	first := w.provide(t, "user", "v1", hello)
	second := w.provide(t, "user", "v2", hello)
	c := w.client(t)
	asked := func() int64 {
		before := second.requests.Load()
		get(t, c, "http://user/", "x-gray-version: v2")
		return second.requests.Load() - before
	}
	for range 10 {
		require.EqualValues(t, 1, asked())
		get(t, c, "http://user/", "x-gray-version: v1")
	}

	require.NoError(t, first.registration.Update(t.Context(), first.instance("v2")))
	require.NoError(t, second.registration.Update(t.Context(), second.instance("v1")))
	require.Eventually(t, func() bool { return asked() == 0 }, patience, time.Millisecond)
	for range 10 {
		require.Zero(t, asked(), "v2 is the first provider now")
	}
	assert.EqualValues(t, 1, first.opened.Load())
	assert.EqualValues(t, 1, second.opened.Load())
}

func TestARequestArrivesAsItWasMade(t *testing.T) {
	w := newWorld(t)
	var got *http.Request
	var body []byte
	w.provide(t, "user", "v1", func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		"http://user/a%2Fb/c?x=1&x=2&y=%20", strings.NewReader("content"))
	require.NoError(t, err)
	req.Header["X-Twice"] = []string{"1", "2"}
	req.Header.Set("Content-Type", "text/x-test")

	resp, err := w.client(t).Do(req)
	require.NoError(t, err)
	drained(t, resp)

	assert.Equal(t, http.MethodPut, got.Method)
	assert.Equal(t, "/a%2Fb/c?x=1&x=2&y=%20", got.RequestURI)
	assert.Equal(t, "user", got.Host, "the service's name, not the address")
	assert.Equal(t, []string{"1", "2"}, got.Header["X-Twice"])
	assert.Equal(t, "text/x-test", got.Header.Get("Content-Type"))
	assert.Equal(t, "content", string(body))
	assert.EqualValues(t, len(body), got.ContentLength)
	assert.Same(t, req, resp.Request, "the answer knows the caller's request")
	assert.Equal(t, "http://user/a%2Fb/c?x=1&x=2&y=%20", resp.Request.URL.String())
}

func TestTheHostHeaderIsTheServiceUnlessTheCallerHasOne(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	for given, want := range map[string]string{"": "user", "shop.example": "shop.example"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/", http.NoBody)
		require.NoError(t, err)
		req.Host = given
		resp, err := w.client(t).Do(req)
		require.NoError(t, err)
		drained(t, resp)
		assert.Equal(t, want, resp.Header.Get("X-Host"))
	}
}

func TestCarriedHeadersGoAlongAndAreObeyed(t *testing.T) {
	w := newWorld(t)
	seen := make(chan http.Header, 1)
	h := func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }
	w.provide(t, "user", "v1", h)
	w.provide(t, "user", "v2", h)
	c := w.client(t)

	ctx := lane.WithHeader(t.Context(), lane.HeaderVersion, "v2")
	ctx = lane.WithUser(lane.With(ctx, "canary"), "u1")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://user/", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("X-Gray-Lane", "mine")
	before := req.Header.Clone()
	for range 4 {
		resp, err := c.Do(req)
		require.NoError(t, err)
		drained(t, resp)
		assert.Equal(t, "v2", resp.Header.Get("X-App-Version"), "the rule saw the carried header")
		got := <-seen
		assert.Equal(t, "u1", got.Get("X-User-Id"))
		assert.Equal(t, "v2", got.Get("X-Gray-Version"))
		assert.Equal(t, "mine", got.Get("X-Gray-Lane"), "the caller's own header stays")
	}
	assert.Equal(t, before, req.Header, "the caller's request is not changed")
	assert.Equal(t, "user", req.URL.Host)

	// Also where the caller has no header map at all.
	req.Header = nil
	resp, err := c.Transport.RoundTrip(req)
	require.NoError(t, err)
	drained(t, resp)
	assert.Equal(t, "canary", (<-seen).Get("X-Gray-Lane"))
	assert.Nil(t, req.Header)
}

func TestAHeaderSentTwiceIsNoAnswerToARule(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	w.provide(t, "user", "v2", hello)
	c := w.client(t)
	versions := map[string]int{}
	for range 100 {
		version, _ := get(t, c, "http://user/", "x-gray-version: v2", "x-gray-version: v2")
		versions[version]++
	}
	assert.InDelta(t, 50, versions["v1"], 6, "it goes to the default: everybody")
	assert.InDelta(t, 50, versions["v2"], 6)
}

func TestARequestThatCannotBeSent(t *testing.T) {
	none := registry.NewInstance("127.0.0.1:9")
	none.Enabled = false
	tests := []struct {
		name string
		url  string
		is   error
		text string
	}{
		{name: "to a service that nobody registered", url: "http://nobody/", is: resolver.ErrUnknownService, text: "nobody"},
		{name: "to a service without a usable instance", url: "http://empty/", is: balancer.ErrNoInstance, text: "empty"},
		{name: "to a name that is none", url: "http://a+b/", is: registry.ErrInvalid, text: "a+b"},
		{name: "with a port", url: "http://user:8080/", text: "a service has no port"},
		{name: "to an IPv6 address", url: "http://[::1]/", text: "a service has no port"},
		{name: "in another protocol", url: "ftp://user/", text: `scheme "ftp" is not supported`},
		{name: "without a host", url: "http:///path", text: "no host"},
		{name: "to a path alone", url: "/path", text: `scheme ""`},
	}
	w := newWorld(t)
	w.Set(registry.Service{Name: "empty"}, none)
	transport := httpx.NewTransport(w.resolver)
	defer transport.Close()
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			body := newCloseable(strings.NewReader("x"))
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, tc.url, body)
			require.NoError(t, err)
			resp, err := transport.RoundTrip(req) //nolint:bodyclose // there is none
			require.Nil(t, resp)
			require.Error(t, err)
			require.NoError(t, ctx.Err(), "long before the deadline")
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.ErrorContains(t, err, tc.text)
			body.requireClosed(t)
		})
	}
	t.Run("without a URL", func(t *testing.T) {
		resp, err := transport.RoundTrip(&http.Request{}) //nolint:bodyclose // there is none
		require.Nil(t, resp)
		require.ErrorContains(t, err, "no URL")
	})
	w.notDone(t)
}

func TestErrorsAreTypedInsideAURLError(t *testing.T) {
	w := newWorld(t)
	err := fetch(t.Context(), w.client(t), http.MethodGet, "http://nobody/")
	var urlErr *url.Error
	require.ErrorAs(t, err, &urlErr)
	require.ErrorIs(t, err, resolver.ErrUnknownService)
}

// silent is a registry that never answers.
type silent struct{}

func (silent) Watch(ctx context.Context, _ registry.Service, _ func(registry.Update)) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestWithoutARegistryARequestFailsAtItsDeadline(t *testing.T) {
	r, err := resolver.New(silent{}, nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Close()) }()
	c := httpx.NewClient(r)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	body := newCloseable(strings.NewReader("x"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://user/", body)
	require.NoError(t, err)
	begin := time.Now()
	_, err = c.Do(req) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, resolver.ErrNotReady)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(begin), patience)
	body.requireClosed(t)
}

func TestATransportThatWasClosed(t *testing.T) {
	w := newWorld(t)
	p := w.provide(t, "user", "v1", hello)
	transport := httpx.NewTransport(w.resolver)
	c := &http.Client{Transport: transport}
	get(t, c, "http://user/")
	view, err := w.resolver.View(w.resolver.Service("user"), "http")
	require.NoError(t, err)
	defer view.Close()

	transport.Close()
	transport.Close()
	for _, service := range []string{"user", "other"} {
		require.ErrorIs(t, fetch(t.Context(), c, http.MethodGet, "http://"+service+"/"), resolver.ErrClosed)
	}
	assert.NotNil(t, view.State(), "a view that others use goes on")
	assert.EqualValues(t, 1, p.requests.Load())
}

func TestAResolverThatWasClosed(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	c := w.client(t)
	get(t, c, "http://user/")
	require.NoError(t, w.resolver.Close())
	require.ErrorIs(t, fetch(t.Context(), c, http.MethodGet, "http://user/"), resolver.ErrClosed)
}

func TestConcurrentFirstRequestsShareAView(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	for range 20 {
		transport := httpx.NewTransport(w.resolver)
		c := &http.Client{Transport: transport}
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				<-begin
				assert.NoError(t, fetch(t.Context(), c, http.MethodGet, "http://user/"))
			})
		}
		close(begin)
		wg.Wait()
		// Had two requests opened the view, it would outlive the transport.
		view, err := w.resolver.View(w.resolver.Service("user"), "http")
		require.NoError(t, err)
		transport.Close()
		view.Close()
		require.Eventually(t, func() bool { return view.State() == nil }, patience, time.Millisecond)
	}
}

func TestOnlyInstancesOfTheProtocolAreCalled(t *testing.T) {
	w := newWorld(t)
	p := w.provide(t, "user", "v1", hello)
	grpc := registry.NewInstance("127.0.0.1:9")
	grpc.Metadata = map[string]string{registry.KeyProtocol: "grpc"}
	w.Set(registry.Service{Name: "user"}, p.instance("v1"), grpc)
	c := w.client(t)
	for range 20 {
		get(t, c, "http://user/")
	}
	assert.EqualValues(t, 20, p.requests.Load())
}

func TestWithTransportCarriesTheRequests(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	errDial := errors.New("no way")
	base := &http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("a proxy was asked for") },
	}
	c := w.client(t, httpx.WithTransport(base))
	get(t, c, "http://user/")
	w.outcome(t)
	assert.NotNil(t, base.Proxy, "the caller's transport stays as it was")

	failing := w.client(t, httpx.WithTransport(&http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errDial },
	}))
	require.ErrorIs(t, fetch(t.Context(), failing, http.MethodGet, "http://user/"), errDial)
	require.ErrorIs(t, w.outcome(t).Err, errDial)
}

func TestRedirects(t *testing.T) {
	w := newWorld(t)
	targets := map[string]string{
		"/relative": "/end", "/absolute": "http://user/end", "/port": "http://user:80/end",
		"/other": "http://order/end", "/tls": "https://user/end", "/loop": "/loop",
	}
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
		if to, ok := targets[r.URL.Path]; ok {
			http.Redirect(rw, r, to, http.StatusFound)
			return
		}
		hello(rw, r)
	})
	c := w.client(t)
	for _, path := range []string{"/relative", "/absolute"} {
		_, body := get(t, c, "http://user"+path)
		assert.Equal(t, "GET /end", body, path)
	}
	for _, path := range []string{"/port", "/other", "/tls"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user"+path, http.NoBody)
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err)
		drained(t, resp)
		assert.Equal(t, http.StatusFound, resp.StatusCode, path)
		assert.Equal(t, targets[path], resp.Header.Get("Location"))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/loop", http.NoBody)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.ErrorContains(t, err, "10 redirects")
	require.NoError(t, resp.Body.Close())
}

func TestBigBodiesStream(t *testing.T) {
	const size = 8 << 20
	w := newWorld(t)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
		if assert.NoError(t, http.NewResponseController(rw).EnableFullDuplex()) {
			_, _ = io.Copy(rw, r.Body)
		}
	})
	content := bytes.Repeat([]byte("graylane"), size/8)
	body := newCloseable(bytes.NewReader(content))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://user/", body)
	require.NoError(t, err)
	resp, err := w.client(t).Do(req)
	require.NoError(t, err)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.True(t, bytes.Equal(content, got), "%d of %d bytes", len(got), len(content))
	body.requireClosed(t)
}
