package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// maxAttempts is how many lines a recorder keeps: an hour of the usual load.
const maxAttempts = 2_000_000

// connectOurs opens our client as its users do.
func (c *consumer) connectOurs(ctx context.Context, i int) (client, book, error) {
	recorder := judge.NewRecorder(maxAttempts)
	gl, err := graylane.Open(ctx, graylane.WithServers(c.Servers...), graylane.WithCacheDir(c.Dir+"/cache"),
		graylane.WithHooks(recorder.Hooks()), graylane.WithHooks(c.watch.hooks(i)))
	if err != nil {
		return nil, nil, err
	}
	if c.protocol() == "http" {
		return &httpClient{do: httpx.NewClient(gl.Resolver()).Do, end: func() { gl.Close() }}, recorder, nil
	}
	conn, err := grpcx.NewClient(gl.Resolver(), c.service(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, errors.Join(err, gl.Close())
	}
	conn.Connect()
	return &grpcClient{say: hello.NewHelloClient(conn), end: func() { _ = conn.Close(); gl.Close() }}, recorder, nil
}

// httpClient makes requests over HTTP.
type httpClient struct {
	do  func(*http.Request) (*http.Response, error)
	end func()
}

func (h *httpClient) call(ctx context.Context, r *judge.Request) (version string, err error) {
	req, err := newRequest(ctx, r, r.Service)
	if err != nil {
		return "", err
	}
	resp, err := h.do(req)
	if err != nil {
		return "", err
	}
	return read(resp)
}

func (h *httpClient) close() { h.end() }

// newRequest returns the HTTP request for r at a host.
func newRequest(ctx context.Context, r *judge.Request, host string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://"+host+r.Path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set(headerID, r.ID)
	for k, v := range r.Headers {
		req.Header.Set(k, v)
	}
	return req, nil
}

// read reads an answer to its end. One that is not 200 is an error.
func read(resp *http.Response) (version string, err error) {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return resp.Header.Get(httpx.VersionHeader), err
}

// grpcClient makes calls over gRPC.
type grpcClient struct {
	say hello.HelloClient
	end func()
}

func (g *grpcClient) call(ctx context.Context, r *judge.Request) (version string, err error) {
	md := metadata.New(r.Headers)
	md.Set(headerID, r.ID)
	ctx = resolver.WithIdempotent(ctx) // retryPolicy says it to the others
	reply, err := g.say.Say(metadata.NewOutgoingContext(ctx, md), &hello.HelloRequest{})
	return reply.GetVersion(), err
}

func (g *grpcClient) close() { g.end() }

// watcher notes what our clients report.
type watcher struct {
	mu     sync.Mutex // guards what follows; a leaf
	views  []view
	events []event
}

// maxEvents bounds a watcher.
const maxEvents = 10_000

func newWatcher(copies int) *watcher { return &watcher{views: make([]view, copies)} }

// hooks returns those of the i-th copy.
func (w *watcher) hooks(i int) resolver.Hooks {
	return resolver.Hooks{
		OnUpdate: func(_ *resolver.View, s *resolver.State) {
			w.mu.Lock()
			defer w.mu.Unlock()
			v := view{Instances: s.Snapshot.Len(), Rules: s.Revision(), Boots: map[string]string{}}
			for _, in := range s.Snapshot.All() {
				v.Boots[in.Addr] = in.Metadata[registry.KeyBoot]
			}
			w.views[i] = v
		},
		OnEvent: func(e resolver.Event) { w.note(strings.TrimSpace(e.Kind.String() + " " + e.Target + e.Addr)) },
		OnError: func(_ registry.Service, err error) {
			if refused, ok := errors.AsType[*resolver.RefusedError](err); ok {
				w.note("document refused " + refused.MD5)
			}
		},
	}
}

func (w *watcher) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) < maxEvents {
		w.events = append(w.events, event{time.Now().UnixNano(), text})
	}
}

func (w *watcher) seen() ([]view, []event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]view(nil), w.views...), append([]event(nil), w.events...)
}
