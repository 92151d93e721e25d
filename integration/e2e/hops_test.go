package e2e

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
)

// Three hops: HTTP to the front service, gRPC to the middle one, HTTP to the
// stage's, which alone has an instance in the lane. Marked and unmarked requests
// are mixed on the same connections.
func TestALaneReachesTheThirdHopAndLeaksNowhere(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const requests, name = 20_000, "canary"
		s.provideAll("v1", "v1")
		s.provide("v2", map[string]string{"lane": name})
		c := s.consume()
		c.sees(3)
		middle, front := s.service+"-middle", s.service+"-front"
		s.provideMiddle(middle)
		s.provideFrontOf(front, middle)
		c.finds(front)

		// A connection is made on the first request to an instance, and the first
		// request to the middle waits for its list.
		begin := time.Now()
		var mu sync.Mutex
		served := map[string]int{}
		c.each(requests, 8, func(i int) {
			r := judge.Request{Service: front, Protocol: "http", ID: c.id("http"), Method: http.MethodGet, Path: "/order"}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			marked := "unmarked"
			if i%2 == 0 {
				r.Lane, marked = name, "marked"
				ctx = lane.With(ctx, name)
			}
			ctx, answered := s.recorder.Begin(ctx, r)
			body, version, err := c.fetch(ctx, r)
			answered(version, err)
			mu.Lock()
			defer mu.Unlock()
			if assert.NoError(t, err) {
				served[marked+" → "+body]++
			}
		})
		took := time.Since(begin)
		assert.Equal(t, map[string]int{"marked → v2": requests / 2, "unmarked → v1": requests / 2}, served)
		report := s.flawless()
		require.Equal(t, 3*requests, report.Requests, "all hops are judged")
		figure(t, "%d requests over three hops in %s: %v, 0 leaks; %d requests judged", requests, took.Round(time.Millisecond), served, report.Requests)
	})
}

// each calls fn for 0 to n-1 from several goroutines, and waits.
func (c *consumer) each(n, workers int, fn func(i int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// provideFrontOf starts an HTTP service that asks the middle over gRPC and
// answers with the version that served at last. It knows nothing of lanes.
func (s *stage) provideFrontOf(name, middle string) {
	s.t.Helper()
	p := s.newProvider("v1", nil, graylane.WithHooks(s.recorder.Hooks()))
	conn, err := grpcx.NewClient(p.client.Resolver(), middle, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, conn.Close()) })
	say := hello.NewHelloClient(conn)
	ids := &consumer{stage: s}
	p.serveHTTP(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, answered := s.recorder.Begin(r.Context(), judge.Request{
			ID: ids.id("middle"), Protocol: "grpc", Service: middle, Method: http.MethodPost,
			Path: hello.Hello_Say_FullMethodName, Lane: lane.From(r.Context()),
		})
		reply, err := say.Say(ctx, &hello.HelloRequest{})
		answered(reply.GetVersion(), err)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(reply.GetMessage()))
	}))
}

// provideMiddle starts a gRPC service that asks the stage's over HTTP, from a
// goroutine of its own.
func (s *stage) provideMiddle(name string) {
	s.t.Helper()
	p := s.newProvider("v1", nil, graylane.WithHooks(s.recorder.Hooks()))
	back := &consumer{stage: s, http: httpx.NewClient(p.client.Resolver())}
	s.t.Cleanup(back.http.CloseIdleConnections)
	p.serve("grpc", name, func(ln net.Listener) error {
		return grpcx.ServeListener(p.ctx, p.client, name, ln, func(srv *grpc.Server) {
			hello.RegisterHelloServer(srv, &middleman{back: back})
		}, grpcx.WithLinger(-1))
	})
}

type middleman struct {
	hello.UnimplementedHelloServer
	back *consumer
}

func (m *middleman) Say(ctx context.Context, _ *hello.HelloRequest) (*hello.HelloReply, error) {
	type answer struct {
		version string
		err     error
	}
	got := make(chan answer)
	go func() {
		version, err := m.back.do(ctx, "http", ask{lane: lane.From(ctx)}) // the lane is named for the judge alone
		got <- answer{version, err}
	}()
	a := <-got
	return &hello.HelloReply{Message: a.version, Version: "v1"}, a.err
}
