package httpx

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// NewGateway returns a handler that forwards each request to the service that
// route says, through transport: a [Transport], or what wraps one. Bodies and
// upgraded connections (websockets) stream both ways, the answer is passed on as
// it is, its x-app-version among it, and a caller that leaves cancels its
// request. Over HTTP/1, an answer that does not wait for the end of its request is
// the last on its connection.
//
// It is a [Handler], with the same options. An [Edge] also replaces the headers
// X-Forwarded-For, -Host and -Proto of callers from outside and drops their other
// X-Forwarded-* and X-Real-Ip; those of others are continued. The Host header
// becomes the service's name, the query stays as it is. Of upgrades only
// websockets are forwarded.
//
// A user whom a handler around the gateway has found out goes on with the request
// (lane.WithUser). A lane does not: what comes in says the lane, or an edge says
// that there is none.
//
// To limit bodies, let a handler around the gateway set
//
//	r.Body = http.MaxBytesReader(nil, r.Body, n)
//
// and not http.MaxBytesHandler: it has the reader write to the headers of an answer
// that a service may just be giving, which can end the process. An http.ResponseWriter of
// theirs needs a method Unwrap (see http.ResponseController): without it, callers who do
// not send what they have announced cannot be told that their time is up.
//
// What cannot be forwarded is answered with one line that names no address:
//
//	400  the request names a target that the rules do not know, or its body is
//	     no HTTP
//	404  no route, or nobody ever registered the service
//	408  the request's body did not come within the server's ReadTimeout
//	413  the body is larger than http.MaxBytesReader allows
//	431  the headers are more than the instance takes (HTTP/2)
//	502  the instance could not be reached, or broke off before its answer
//	503  no instance, or the registry has not answered yet; with Retry-After
//	504  the request's deadline passed, or a timeout of the transport
func NewGateway(transport http.RoundTripper, route Route, opts ...ServerOption) http.Handler {
	g := &gateway{route: route, edge: newServerOptions(opts).Edge}
	g.proxy = httputil.ReverseProxy{
		Rewrite:   g.rewrite,
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			status, text := explain(r.Context(), err)
			fail(w, status, text)
		},
		BufferPool: &buffers{},
		// What it would log is known: to the caller, or as the attempt's outcome.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	return Handler(g, opts...)
}

type gateway struct {
	route Route
	edge  serving.Edge
	proxy httputil.ReverseProxy
}

// ServeHTTP implements http.Handler.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		newIncoming(w, r).refuse(http.StatusMethodNotAllowed, "this is no tunnel")
		return
	}
	to := g.route(r)
	if to == nil {
		newIncoming(w, r).refuse(http.StatusNotFound, "no route")
		return
	}
	// The version that counts is that of the instance that answers.
	delete(w.Header(), canonical(VersionHeader))
	out := r.WithContext(r.Context()) // a copy
	out.URL = to
	if r.ContentLength == 0 && len(w.Header()) == 0 {
		g.proxy.ServeHTTP(w, out)
		return
	}
	body, before := newIncoming(w, r), maps.Clone(w.Header())
	defer body.end()
	proxy := g.proxy
	proxy.Rewrite = func(p *httputil.ProxyRequest) {
		g.rewrite(p)
		if !body.ended.Load() {
			p.Out.Body, p.Out.Trailer = body, body.trailer
		}
	}
	proxy.ModifyResponse = func(resp *http.Response) error {
		restore(w, before)
		body.answered(resp.StatusCode)
		if resp.StatusCode != http.StatusSwitchingProtocols {
			resp.Body = answer{resp.Body, body}
		}
		return nil
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		restore(w, before)
		body.refuse(explain(r.Context(), body.explain(err)))
	}
	proxy.ServeHTTP(w, out)
}

// restore gives an answer back the headers that handlers around had set: httputil clears
// all after a provisional answer, as 103 is.
func restore(w http.ResponseWriter, before http.Header) {
	for name, vs := range before {
		if _, ok := w.Header()[name]; !ok {
			w.Header()[name] = vs
		}
	}
}

// rewrite prepares the request to the service; its URL is right already.
func (g *gateway) rewrite(p *httputil.ProxyRequest) {
	p.Out.Host = ""
	p.Out.URL.RawQuery = p.In.URL.RawQuery // httputil drops what it cannot parse
	if !strings.EqualFold(p.Out.Header.Get("Upgrade"), "websocket") {
		// Another protocol, HTTP/2 say, would make a tunnel past all that is done
		// here to requests.
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			delete(p.Out.Header, name)
		}
	}
	inside := !g.edge.Outside(p.In.RemoteAddr)
	if inside {
		p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
	} else {
		maps.DeleteFunc(p.Out.Header, func(name string, _ []string) bool {
			return strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip"
		})
	}
	p.SetXForwarded() // appends itself to the former
	if !inside {
		return
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if vs := p.In.Header[name]; len(vs) > 0 {
			p.Out.Header[name] = vs
		}
	}
}

// statusCallerLeft is what nginx calls an answer that nobody waits for.
const statusCallerLeft = 499

// fail answers a request that was not forwarded, or not answered.
func fail(w http.ResponseWriter, status int, text string) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, text, status)
}

// explain says what a caller may know of an error.
func explain(ctx context.Context, err error) (status int, text string) {
	var timeout interface{ Timeout() bool }
	var tooLarge *http.MaxBytesError
	var unread *unreadError
	switch {
	case errors.Is(err, balancer.ErrUnknownTarget):
		return http.StatusBadRequest, "unknown target"
	case errors.Is(err, resolver.ErrUnknownService), errors.Is(err, registry.ErrInvalid):
		return http.StatusNotFound, "unknown service"
	case errors.Is(err, balancer.ErrNoInstance), errors.Is(err, balancer.ErrSkipped):
		return http.StatusServiceUnavailable, "no instance"
	case errors.Is(err, resolver.ErrNotReady), errors.Is(err, resolver.ErrClosed):
		return http.StatusServiceUnavailable, "not ready"
	case errors.As(err, &tooLarge): // by http.MaxBytesReader around the gateway
		return http.StatusRequestEntityTooLarge, "request body too large"
	case strings.HasPrefix(err.Error(), headerListTooLarge):
		return http.StatusRequestHeaderFieldsTooLarge, "request headers too large"
	case errors.As(err, &unread) && unread.Timeout():
		return http.StatusRequestTimeout, "the request did not come in time"
	case errors.Is(ctx.Err(), context.Canceled) && !errors.Is(err, errStalled):
		return statusCallerLeft, "the caller left"
	case unread != nil:
		return http.StatusBadRequest, "the request cannot be read"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, "the service did not answer in time"
	}
	return http.StatusBadGateway, "the service could not be reached"
}

// bufferSize is that of httputil.
const bufferSize = 32 << 10

// buffers is an httputil.BufferPool.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
