package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
)

func TestByHost(t *testing.T) {
	route := httpx.ByHost(map[string]string{"user.example.com": "user", "Order.example.com": "order"})
	for host, want := range map[string]string{
		"user.example.com":      "http://user/a%2Fb/c?x=1;y&z",
		"USER.example.com:8080": "http://user/a%2Fb/c?x=1;y&z",
		"order.example.com":     "http://order/a%2Fb/c?x=1;y&z",
		"example.com":           "",
		"x.user.example.com":    "",
		"user":                  "",
		"":                      "",
		"[::1]:80":              "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a%2Fb/c?x=1;y&z", http.NoBody)
		r.Host = host
		assert.Equal(t, want, routed(route, r), host)
	}
}

func TestByPath(t *testing.T) {
	some := map[string]string{"/user": "user", "/api/order/": "order", "/api": "api", "/ü": "umlaut"}
	all := map[string]string{"/user": "user", "/": "web"}
	tests := []struct {
		services   map[string]string
		path, want string
	}{
		{services: some, path: "/user/hello?x=1", want: "http://user/hello?x=1"},
		{services: some, path: "/user", want: "http://user"},
		{services: some, path: "/user?x", want: "http://user?x"},
		{services: some, path: "/user/", want: "http://user/"},
		{services: some, path: "/users", want: ""},
		{services: some, path: "/user/a%2Fb", want: "http://user/a%2Fb"},
		{services: some, path: "/user%2Fadmin", want: ""},
		{services: some, path: "/%75ser/x", want: "http://user/x"},
		{services: some, path: "/user/../api/x", want: "http://user/../api/x"},
		{services: some, path: "//user/x", want: ""},
		{services: some, path: "/api/order/1", want: "http://order/1"},
		{services: some, path: "/api/orders/1", want: "http://api/orders/1"},
		{services: some, path: "/%C3%BC/x", want: "http://umlaut/x"},
		{services: some, path: "/%C3%BC/a%2Fb", want: "http://umlaut/a%2Fb"},
		{services: some, path: "/api%2Forder/1", want: ""},
		{services: some, path: "/api/order%2F1", want: "http://api/order%2F1"},
		{services: some, path: "/", want: ""},
		{services: all, path: "/", want: "http://web/"},
		{services: all, path: "/index.html", want: "http://web/index.html"},
		{services: all, path: "/user/x", want: "http://user/x"},
		{services: all, path: "/a%2Fb", want: "http://web/a%2Fb"},
		{services: nil, path: "/user", want: ""},
	}
	for _, tc := range tests {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.path, http.NoBody)
		assert.Equal(t, tc.want, routed(httpx.ByPath(tc.services), r), tc.path)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/", http.NoBody)
	r.URL = &url.URL{Path: "*"} // OPTIONS *
	assert.Empty(t, routed(httpx.ByPath(all), r))
}

// routed is where a request goes; "" for nowhere.
func routed(route httpx.Route, r *http.Request) string {
	if u := route(r); u != nil {
		return u.String()
	}
	return ""
}

func FuzzByPath(f *testing.F) {
	for _, path := range []string{"/user", "/user/x", "/user%2Fx", "/%75ser/x", "/user//x", "//", "/a/b/", "/a/b%2f/c", "/a%00"} {
		f.Add(path)
	}
	prefixes := map[string]string{"user": "/user", "ab": "/a/b", "a": "/a"}
	route := httpx.ByPath(map[string]string{"/user": "user", "/a/b/": "ab", "/a": "a"})
	f.Fuzz(func(t *testing.T, path string) {
		in, err := url.ParseRequestURI(path)
		if err != nil || in.Host != "" {
			t.Skip()
		}
		out := route(&http.Request{URL: in})
		if out == nil {
			return
		}
		prefix, known := prefixes[out.Host]
		require.True(t, known, out.Host)
		assert.Equal(t, in.Path, prefix+out.Path)
		assert.Equal(t, in.RawQuery, out.RawQuery)
		assert.True(t, out.Path == "" || strings.HasPrefix(out.Path, "/"))
		if in.RawPath == "" {
			return
		}
		// What is escaped stays so, and cannot end a segment of the prefix.
		assert.True(t, strings.HasSuffix(in.EscapedPath(), out.EscapedPath()), "%q of %q", out.EscapedPath(), in.EscapedPath())
	})
}
