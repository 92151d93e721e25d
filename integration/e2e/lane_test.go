package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// A consumer asks the front service over HTTP, which asks the stage's service
// over gRPC. Only that one has an instance in the lane.
func TestLaneGoesOnThroughServicesWithoutIt(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const requests, name = 500, "canary"
		s.provideAll("v1", "v1")
		s.provide("v2", map[string]string{"lane": name})
		c := s.consume()
		c.sees(3)
		front := s.service + "-front"
		s.provideFront(front)
		c.finds(front)

		counts := map[string]int{}
		for i := range 2 * requests {
			r := judge.Request{Service: front, Protocol: "http", ID: c.id("http"), Method: http.MethodGet, Path: "/order"}
			ctx := t.Context()
			if i%2 == 0 {
				r.Lane = name
				ctx = lane.With(ctx, name)
			}
			ctx, answered := s.recorder.Begin(ctx, r)
			served, version, err := c.fetch(ctx, r)
			answered(version, err)
			require.NoError(t, err)
			counts["lane "+r.Lane+" → "+served]++
		}
		assert.Equal(t, map[string]int{"lane " + name + " → v2": requests, "lane  → v1": requests}, counts)
		report := s.flawless()
		require.Equal(t, 4*requests, report.Requests, "both hops are judged")
		figure(t, "%d requests over two hops: %v", 2*requests, counts)
	})
}

// finds waits until the consumer knows an HTTP instance of another service.
func (c *consumer) finds(service string) {
	c.stage.t.Helper()
	r := c.client.Resolver()
	view, err := r.View(r.Service(service), "http")
	require.NoError(c.stage.t, err)
	defer view.Close()
	ctx, cancel := c.stage.within()
	defer cancel()
	require.NoError(c.stage.t, awaitState(ctx, view, func(st *resolver.State) bool { return st.Snapshot.Len() > 0 }))
}

// provideFront starts a service that asks the stage's over gRPC and answers
// with the version that served. It knows nothing of lanes.
func (s *stage) provideFront(name string) {
	s.t.Helper()
	p := s.newProvider("v1", nil, graylane.WithHooks(s.recorder.Hooks()))
	conn, err := grpcx.NewClient(p.client.Resolver(), s.service, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, conn.Close()) })
	back := &consumer{stage: s, say: hello.NewHelloClient(conn)}
	p.serveHTTP(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The lane is named for the judge alone.
		version, err := back.do(r.Context(), "grpc", ask{lane: lane.From(r.Context())})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(version))
	}))
}
