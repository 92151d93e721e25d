package httpx

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// VersionHeader is the response header by which a server says its version.
const VersionHeader = serving.VersionHeader

// HealthPath is where a server answers health checks: 200 while it is ready, 503
// before it is registered and from the moment on that it leaves.
const HealthPath = "/healthz"

// Handler returns next with the server's side of this package: the carried
// headers of a request go into its context (package lane), and the request itself
// for the rules of switches (resolver.Switches), answers say the
// version ([WithVersion]) in the header x-app-version, and HealthPath answers
// 200. [Serve] does this by itself.
func Handler(next http.Handler, opts ...ServerOption) http.Handler {
	h := newHandler(next, newServerOptions(opts))
	h.ready.Store(true)
	return h
}

type handler struct {
	next    http.Handler
	carried []string
	edge    serving.Edge
	leaving atomic.Bool
	version atomic.Pointer[string] // nil: not known
	ready   atomic.Bool

	begin  time.Time
	newest atomic.Int64 // when the newest request began, in ns since begin; 0: none yet
}

func newHandler(next http.Handler, o serverOptions) *handler {
	h := &handler{next: next, carried: o.Carried, edge: o.Edge, begin: time.Now()}
	h.setVersion(o.Version())
	return h
}

func (h *handler) setVersion(v string) {
	if v != "" {
		h.version.Store(&v)
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if v := h.version.Load(); v != nil {
		header(w.Header()).Set(VersionHeader, *v)
	}
	if h.leaving.Load() {
		header(w.Header()).Set(serving.LeavingHeader, "1")
	}
	if r.URL.Path == HealthPath {
		h.serveHealth(w)
		return
	}
	h.newest.Store(int64(time.Since(h.begin)))
	if h.edge.Outside(r.RemoteAddr) {
		r = h.fromOutside(r)
	}
	ctx := lane.Extract(r.Context(), header(r.Header), h.carried)
	h.next.ServeHTTP(w, r.WithContext(resolver.WithRequest(ctx, request{r})))
}

func (h *handler) serveHealth(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	status, text := http.StatusOK, "ok\n"
	if !h.ready.Load() {
		status, text = http.StatusServiceUnavailable, "not ready\n"
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the status is the answer
}

// lastRequest returns when the newest request began.
func (h *handler) lastRequest() time.Time {
	if d := time.Duration(h.newest.Load()); d > 0 {
		return h.begin.Add(d)
	}
	return time.Time{}
}
