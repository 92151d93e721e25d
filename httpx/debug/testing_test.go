package debug

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// documents is a config.Source in memory.
type documents struct {
	mu     sync.Mutex
	docs   map[string]config.Doc
	fns    map[string]func(config.Doc)
	synced time.Time // zero: it cannot tell
}

func (d *documents) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	d.mu.Lock()
	d.fns[dataID] = fn
	fn(d.docs[dataID])
	d.mu.Unlock()
	<-ctx.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.fns, dataID)
	return context.Cause(ctx)
}

func (d *documents) Synced(string) (time.Time, bool) { return d.synced, !d.synced.IsZero() }

// say puts a document in place; "" removes it.
func (d *documents) say(dataID, text string) {
	doc := config.NewDoc([]byte(text))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fns[dataID] != nil {
		doc.At = time.Now()
		d.fns[dataID](doc)
	}
	d.docs[dataID] = doc
}

// scene is a resolver with a page.
type scene struct {
	*Page
	*memory.Registry
	docs     *documents
	resolver *resolver.Resolver
	view     *resolver.View
	t        *testing.T  // the test in the bubble
	hangs    atomic.Bool // instances do not even refuse connections
}

var order = registry.Service{Name: "order"}.WithDefaults()

const rulesID = "gray.order.yaml"

// newScene opens a view of order over HTTP. Settle waits until all is known.
func newScene(tb testing.TB, rules string, settle func(), instances ...registry.Instance) *scene {
	tb.Helper()
	s := &scene{
		Page: New(), Registry: memory.New(),
		docs: &documents{docs: map[string]config.Doc{}, fns: map[string]func(config.Doc){}},
	}
	s.Set(order, instances...)
	s.docs.say(rulesID, rules)
	s.open(tb, resolver.WithHooks(s.Hooks()))
	settle()
	return s
}

func (s *scene) open(tb testing.TB, opts ...resolver.Option) {
	tb.Helper()
	nobody := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if s.hangs.Load() {
			<-ctx.Done()
		}
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	var err error
	s.resolver, err = resolver.New(s, s.docs, append(opts, resolver.WithDial(nobody), resolver.WithCaller(map[string]string{"zone": "a"}))...)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, s.resolver.Close()) })
	s.view, err = s.resolver.View(order, "http")
	require.NoError(tb, err)
}

// within runs a test in a bubble, where time is fake.
func within(t *testing.T, rules string, instances []registry.Instance, fn func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, rules, synctest.Wait, instances...)
		s.t = t
		fn(s)
		require.NoError(t, s.resolver.Close())
	})
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

// request is a request with some headers, each "name: value"; "lane: value" is its lane.
func request(tb testing.TB, headers ...string) *explain.Request {
	tb.Helper()
	f := form{Path: "/", Headers: strings.Join(headers, "\n")}
	if name, ok := strings.CutPrefix(f.Headers, "lane: "); ok {
		f.Headers, f.Lane = "", name
	}
	in, err := f.input()
	require.NoError(tb, err)
	r, err := explain.NewRequest(in, 0)
	require.NoError(tb, err)
	return r
}

// send sends n requests that are answered with a status.
func (s *scene) send(tb testing.TB, n, status int, headers ...string) {
	tb.Helper()
	req := request(tb, headers...)
	for range n {
		c, err := s.view.Pick(tb.Context(), req, nil)
		if err == nil {
			c.Done(tb.Context(), resolver.Outcome{Status: status})
		}
	}
}

// ask asks the page from this machine, as change has it.
func ask(h http.Handler, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, http.NoBody)
	r.RemoteAddr, r.Host = "127.0.0.1:4711", "localhost:6060"
	for _, fn := range change {
		fn(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func text(r *httptest.ResponseRecorder) string { return r.Body.String() }

// get returns a page in HTML.
func (s *scene) get(tb testing.TB, target string) string {
	tb.Helper()
	r := ask(s, http.MethodGet, target)
	body := text(r)
	require.Equal(tb, http.StatusOK, r.Code, body)
	require.Equal(tb, "text/html; charset=utf-8", r.Header().Get("Content-Type"))
	return body
}

// read reads a page in JSON.
func read[T any](tb testing.TB, h http.Handler, target string) (out T) {
	tb.Helper()
	r := ask(h, http.MethodGet, target, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
	body := text(r)
	require.Equal(tb, http.StatusOK, r.Code, body)
	require.Equal(tb, "application/json", r.Header().Get("Content-Type"))
	require.NoError(tb, json.Unmarshal([]byte(body), &out), body)
	return out
}

// orderPage is the address of the service's page.
var orderPage = "/service?view=" + url.QueryEscape("public/DEFAULT_GROUP/order over http")
