package e2e

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/resolver"
)

// What the faces add to a request. Nacos takes no part in that, so that the
// embedded one will do.
func TestCostOfTheFaces(t *testing.T) {
	s := newStage(t, server{})
	s.nacos.addr = nacostest.Run(t).Addr()
	s.nacos.console = s.nacos.addr
	p := s.provide("v1", nil)
	rules := s.publish(byHeader)
	client := s.open() // no recorder listens: hooks cost, too
	view, err := client.Resolver().View(client.Resolver().Service(s.service), "http")
	require.NoError(t, err)
	ctx, cancel := s.within()
	defer cancel()
	require.NoError(t, awaitState(ctx, view, func(st *resolver.State) bool {
		return st.Revision() == rules.Revision() && st.Snapshot.Len() == 1
	}))

	pick := func() {
		call, err := view.Pick(t.Context(), request{user: "u"}, nil)
		if err == nil {
			call.Done(t.Context(), resolver.Outcome{})
		}
	}
	assert.Zero(t, testing.AllocsPerRun(1000, pick), "allocations of View.Pick and Call.Done")
	cost(t, "View.Pick and Call.Done", func(context.Context) error { pick(); return nil })

	plain := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(plain.CloseIdleConnections)
	gray := httpx.NewClient(client.Resolver())
	t.Cleanup(gray.CloseIdleConnections)
	plaintext := grpc.WithTransportCredentials(insecure.NewCredentials())
	direct, err := grpc.NewClient("passthrough:///"+p.servers["grpc"].addr, plaintext)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, direct.Close()) })
	picked, err := grpcx.NewClient(client.Resolver(), s.service, plaintext)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, picked.Close()) })

	cost(t, "HTTP, bare net/http", get(plain, p.servers["http"].addr))
	cost(t, "HTTP, httpx", get(gray, s.service))
	cost(t, "gRPC, bare grpc", say(direct))
	cost(t, "gRPC, grpcx", say(picked))
}

// cost prints what an operation takes, the server's side counted in.
func cost(t *testing.T, what string, op func(context.Context) error) {
	t.Helper()
	require.NoError(t, op(t.Context()))
	r := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			if err := op(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	require.Positive(t, r.N)
	figure(t, "%-23s %9d ns, %4d allocations, %6d bytes", what, r.NsPerOp(), r.AllocsPerOp(), r.AllocedBytesPerOp())
}

func get(client *http.Client, host string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/hello", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}

func say(conn *grpc.ClientConn) func(context.Context) error {
	client := hello.NewHelloClient(conn)
	return func(ctx context.Context) error {
		_, err := client.Say(ctx, &hello.HelloRequest{})
		return err
	}
}
