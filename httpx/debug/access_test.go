package debug

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestThePageAnswersItsOwnMachineOnly(t *testing.T) {
	for name, c := range map[string]struct {
		peer, host string
		header     string
		want       int
	}{
		"IPv4":                       {peer: "127.0.0.1:1", host: "127.0.0.1:6060", want: http.StatusOK},
		"IPv6":                       {peer: "[::1]:1", host: "[::1]:6060", want: http.StatusOK},
		"IPv4 in IPv6":               {peer: "[::ffff:127.0.0.1]:1", host: "[::1]", want: http.StatusOK},
		"by name":                    {peer: "127.0.0.1:1", host: "LOCALHOST.", want: http.StatusOK},
		"from a sidecar":             {peer: "127.0.0.6:1", host: "localhost", want: http.StatusForbidden},
		"from a sidecar, in IPv6":    {peer: "[::ffff:127.0.0.6]:1", host: "localhost", want: http.StatusForbidden},
		"by a name below localhost":  {peer: "127.0.0.1:1", host: "app.localhost:80", want: http.StatusOK},
		"another machine":            {peer: "10.0.0.7:1", host: "localhost", want: http.StatusForbidden},
		"another machine, IPv6":      {peer: "[fd00::1]:1", host: "localhost", want: http.StatusForbidden},
		"a peer without address":     {peer: "@", host: "localhost", want: http.StatusForbidden},
		"rebound name":               {peer: "127.0.0.1:1", host: "evil.example:6060", want: http.StatusForbidden},
		"rebound name with an end":   {peer: "127.0.0.1:1", host: "localhost.evil.example", want: http.StatusForbidden},
		"rebound name without a dot": {peer: "127.0.0.1:1", host: "evillocalhost", want: http.StatusForbidden},
		"an address of the network":  {peer: "127.0.0.1:1", host: "10.0.0.1:6060", want: http.StatusForbidden},
		"no host":                    {peer: "127.0.0.1:1", host: "", want: http.StatusForbidden},
		"through a proxy":            {peer: "127.0.0.1:1", host: "localhost", header: "X-Forwarded-For", want: http.StatusForbidden},
		"through a proxy, RFC 7239":  {peer: "127.0.0.1:1", host: "localhost", header: "Forwarded", want: http.StatusForbidden},
		"through a proxy, Via":       {peer: "127.0.0.1:1", host: "localhost", header: "Via", want: http.StatusForbidden},
		"through a proxy, its proto": {peer: "127.0.0.1:1", host: "localhost", header: "X-Forwarded-Proto", want: http.StatusForbidden},
		"through a proxy, its port":  {peer: "127.0.0.1:1", host: "localhost", header: "X-Forwarded-Port", want: http.StatusForbidden},
		"through a proxy, its host":  {peer: "127.0.0.1:1", host: "localhost", header: "X-Forwarded-Host", want: http.StatusForbidden},
		"through a proxy, an ID":     {peer: "127.0.0.1:1", host: "localhost", header: "X-Request-Id", want: http.StatusForbidden},
		"through Envoy":              {peer: "127.0.0.1:1", host: "localhost", header: "X-Envoy-Attempt-Count", want: http.StatusForbidden},
	} {
		for _, path := range []string{"/", "/style.css", "/explain", "/nothing"} {
			change := func(r *http.Request) {
				r.RemoteAddr, r.Host = c.peer, c.host
				if c.header != "" {
					r.Header.Set(c.header, "for=10.0.0.7")
				}
			}
			want := c.want
			if path == "/nothing" && want == http.StatusOK {
				want = http.StatusNotFound
			}
			r := ask(New(), http.MethodGet, path, change)
			body := text(r)
			assert.Equal(t, want, r.Code, "%s: %s", name, body)
			if want == http.StatusForbidden {
				assert.Contains(t, body, "debug.WithRemote", name)
			}
			r = ask(New(WithRemote()), http.MethodGet, path, change)
			assert.NotEqual(t, http.StatusForbidden, r.Code, name)
		}
	}
}

func TestThePageIsToBeRead(t *testing.T) {
	for _, path := range []string{"/", "/service", "/decisions", "/settings", "/style.css", "/nothing", "/explain"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			r := ask(New(), method, path)
			if path == "/explain" && method == http.MethodPost {
				assert.NotEqual(t, http.StatusMethodNotAllowed, r.Code)
				continue
			}
			assert.Equal(t, http.StatusMethodNotAllowed, r.Code, "%s %s", method, path)
			assert.Contains(t, r.Header().Get("Allow"), "GET, HEAD")
		}
	}
	r := ask(New(), http.MethodHead, "/")
	assert.Equal(t, http.StatusOK, r.Code)
}

func TestTheBrowserIsToldToRunNothing(t *testing.T) {
	for _, path := range []string{"/", "/explain", "/nothing", "/style.css", "/?format=json"} {
		h := ask(New(), http.MethodGet, path).Header()
		assert.Equal(t, "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			h.Get("Content-Security-Policy"))
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-store", h.Get("Cache-Control"))
		assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"))
	}
}

func TestAnyPrefixWillDo(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/debug/graylane/", New())
	mux.Handle("/a/", http.StripPrefix("/a", New()))
	mux.Handle("/b/", http.StripPrefix("/b/", New()))
	for _, prefix := range []string{"/debug/graylane/", "/a/", "/b/"} {
		for _, name := range []string{"", "explain", "decisions", "settings", "style.css"} {
			r := ask(mux, http.MethodGet, prefix+name)
			body := text(r)
			assert.Equal(t, http.StatusOK, r.Code, prefix+name)
			assert.NotContains(t, body, `href="/`, "links must be relative")
			assert.NotContains(t, body, `action="/`)
		}
		assert.Equal(t, http.StatusNotFound, ask(mux, http.MethodGet, prefix+"nothing").Code)
	}
}
