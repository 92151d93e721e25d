package debugpage

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/httpx/debug"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// scene is a process with a page.
type scene struct {
	t        *testing.T
	page     *debug.Page
	server   *httptest.Server
	registry *memory.Registry
	docs     *configmemory.Source
	resolver *resolver.Resolver
	views    map[string]*resolver.View
}

func newScene(t *testing.T, settings ...debug.Setting) *scene {
	t.Helper()
	s := &scene{
		t: t, page: debug.New(debug.WithSettings(func() []debug.Setting { return settings })),
		registry: memory.New(), views: map[string]*resolver.View{},
		docs: configmemory.New(nil),
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/graylane/", s.page)
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	var err error
	s.resolver, err = resolver.New(s.registry, s.docs, resolver.WithHooks(s.page.Hooks()), resolver.WithSlowStart(0))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.resolver.Close()) })
	return s
}

// at returns the address of a page.
func (s *scene) at(page string) string { return s.server.URL + "/debug/graylane/" + page }

// of returns the address of a service's page.
func (s *scene) of(service string) string {
	return s.at("service?view=" + url.QueryEscape(s.views[service].String()))
}

// serve opens a service with these instances and this document.
func (s *scene) serve(service, rules string, instances ...registry.Instance) {
	s.t.Helper()
	s.registry.Set(registry.Service{Name: service}, instances...)
	if rules != "" {
		s.docs.Set(config.ServiceDocID(service), rules)
	}
	v, err := s.resolver.View(s.resolver.Service(service), "http")
	require.NoError(s.t, err)
	require.NoError(s.t, v.Ready(s.t.Context()))
	s.views[service] = v
	s.shows("", service)
}

// shows waits until a page has a text.
func (s *scene) shows(page, text string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/"+page, http.NoBody)
		r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
		s.page.ServeHTTP(w, r)
		return strings.Contains(w.Body.String(), text)
	}, time.Minute, 5*time.Millisecond, "%s does not show %q", page, text)
}

// request is a request with some headers, of a user.
type request map[string]string

func (r request) Header(n config.HeaderName) (string, bool) { v, ok := r[n.Lower]; return v, ok }
func (request) Cookie(string) (string, bool)                { return "", false }
func (request) Query(string) (string, bool)                 { return "", false }
func (request) Path() string                                { return "/pay" }
func (request) Method() string                              { return http.MethodGet }
func (r request) User() string                              { return r["user"] }
func (request) Lane() string                                { return "" }

// send sends a request n times; each is answered by a status of the version.
func (s *scene) send(service string, n int, r request, status map[string]int) {
	s.t.Helper()
	for range n {
		c, err := s.views[service].Pick(s.t.Context(), r, nil)
		if err != nil {
			continue
		}
		o := resolver.Outcome{Status: http.StatusOK}
		if code := status[c.Instance().Version()]; code != 0 {
			o.Status = code
		}
		c.Done(s.t.Context(), o)
	}
}

func at(addr, version string, labels ...string) registry.Instance {
	in := registry.NewInstance(addr)
	in.Metadata = map[string]string{"version": version}
	for _, l := range labels {
		name, value, _ := strings.Cut(l, "=")
		in.Metadata[name] = value
	}
	return in
}

const orderRules = `gray: v1
default: v1
rules:
- name: testers
  when: {header.x-tester: "yes"}
  to: v2
- {name: asked-for, by: header.x-gray-version, missing: fail}
- {name: canary, to: {v2: 10%, v3: 5%}, sticky: user}
guard: {errors: 30%, failures: 3, hold: 1m}
limits: {v2: {timeout: 800ms, retries: 1}}
prefer: [zone]
`

// everyday is a process with some of what happens.
func everyday(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, debug.Setting{Name: "servers", Value: "10.0.0.100:8848,10.0.0.101:8848", From: "NACOS_ADDR"},
		debug.Setting{Name: "namespace", Value: "public", From: "the default"},
		debug.Setting{Name: "cache", Value: "/var/cache/graylane", From: "WithCacheDir"})
	sick, off := at("10.0.0.13:8080", "v2", "zone=b", "region=east"), at("10.0.0.14:8080", "v1", "zone=b", "region=east")
	sick.Healthy, off.Enabled = false, false
	s.serve("order", orderRules, at("10.0.0.10:8080", "v1", "zone=a", "region=east"), at("10.0.0.11:8080", "v1", "zone=b", "region=east"),
		at("10.0.0.12:8080", "v2", "zone=a", "region=east"), sick, off, at("10.0.0.15:8080", "v3", "zone=a", "region=east"))
	s.serve("payment", "", at("10.0.1.10:8080", "v1"), at("10.0.1.11:8080", "v2"))
	s.serve("a-service-with-a-rather-long-name.of-the-department-of-everything", "gray: v1\ndefault: v1\n", at("[fd00:1234:5678:9abc:def0:1234:5678:9abc]:8080", "2026.11.25-build.4711"))
	for i := range 500 {
		s.send("order", 1, request{"user": "u" + strconv.Itoa(i)}, nil)
	}
	s.send("order", 20, request{"x-tester": "yes"}, nil)
	s.send("order", 2, request{"x-gray-version": "no name"}, nil)
	s.send("order", 3, request{"x-gray-version": "v3"}, map[string]int{"v3": 503})
	s.send("payment", 40, nil, nil)
	s.docs.Set("gray.order.yaml", strings.Replace(orderRules, "v2: 10%, v3: 5%", "v2: 80%, v3: 50%", 1))
	s.shows("", "document gray.order.yaml is refused")
	return s
}

// bad is a text that would run if it stood anywhere as it is.
const bad = `</textarea></pre></option></title>"'><img src=x onerror="window.ran=1;alert(1)"><script>window.ran=1;alert(2)</script><svg onload=window.ran=1>`

// hostile is a process whose surroundings want to run something in the page.
func hostile(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, debug.Setting{Name: "n" + bad, Value: "v" + bad, From: "javascript:window.ran=1" + bad})
	quoted := strconv.Quote(bad)
	rules := fmt.Sprintf("gray: v1\ndefault: v1\ntargets: {v1: {version: '1'}, v2: {version: %[1]s}}\nrules:\n"+
		"- {name: asked-for, by: header.x-gray-version, missing: fail}\n"+
		"- {name: a, when: {header.x-a: %[1]s}, unless: {user: %[1]s}, to: v2}\n- {name: b, to: {v2: 50%%}, sticky: user, salt: %[1]s}\n", quoted)
	in := at("10.0.0.1:80", bad, "zone="+bad, bad+"=x")
	odd := at("10.0.0.2:80"+bad, "1")
	odd.ID, odd.Cluster = "2"+bad, bad
	s.serve("order", rules, in, odd)
	s.send("order", 20, request{"user": "u1"}, nil)
	s.send("order", 1, request{"x-gray-version": bad}, nil)
	h := s.page.Hooks()
	h.OnError(registry.Service{Namespace: bad, Group: bad, Name: bad}, errors.New("e"+bad))
	h.OnEvent(resolver.Event{Kind: resolver.TargetWithdrawn, Target: bad, Err: errors.New(bad)})
	s.docs.Set("gray.order.yaml", rules+"rulez: 1\n"+quoted+": 1\n")
	s.shows("", "document gray.order.yaml is refused")
	return s
}

// pages are all pages of a scene by their names.
func (s *scene) pages() map[string]string {
	q := url.QueryEscape(bad)
	ask := url.Values{
		"method": {"GET"}, "path": {"/pay?a=" + bad}, "headers": {"X-Tester: yes\nX-Gray-Version: " + bad}, "user": {"u" + bad}, "caller": {"zone=" + bad},
	}
	out := map[string]string{
		"services": s.at(""), "explain": s.at("explain"), "decisions": s.at("decisions"), "settings": s.at("settings"),
		"order": s.of("order"), "search": s.of("order") + "&q=" + q, "unknown": s.at("x?" + q), "unknown-view": s.at("service?view=" + q),
		"explained": s.at("explain?" + ask.Encode() + "&view=" + url.QueryEscape(s.views["order"].String())), "refused-form": s.at("explain?headers=" + q),
	}
	return out
}
