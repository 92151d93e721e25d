package grpcx_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	gresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/graylane/graylane/internal/hello"
)

// BenchmarkCall is one unary call over the loopback to one of four instances:
// what the package adds is the difference to gRPC's own round_robin.
func BenchmarkCall(b *testing.B) {
	ps := []*provider{newProvider(b, "v1"), newProvider(b, "v1"), newProvider(b, "v1"), newProvider(b, "v1")}
	b.Run("round_robin", func(b *testing.B) {
		m := manual.NewBuilderWithScheme("bench")
		var state gresolver.State
		for _, p := range ps {
			state.Endpoints = append(state.Endpoints, gresolver.Endpoint{Addresses: []gresolver.Address{{Addr: p.addr}}})
		}
		m.InitialState(state)
		cc, err := grpc.NewClient("bench:///greeter", grpc.WithResolvers(m),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, cc.Close()) })
		c := hello.NewHelloClient(cc)
		b.Run("no metadata", func(b *testing.B) { benchmarkCalls(b, c, ps, "") })
		b.Run("a header", func(b *testing.B) { benchmarkCalls(b, c, ps, "v1") })
	})
	b.Run("graylane", func(b *testing.B) {
		w := newWorld(b, byHeader)
		w.register(ps...)
		_, c := w.dial(b)
		b.Run("no metadata", func(b *testing.B) { benchmarkCalls(b, c, ps, "") })
		b.Run("a header", func(b *testing.B) { benchmarkCalls(b, c, ps, "v1") })
	})
}

func benchmarkCalls(b *testing.B, c hello.HelloClient, ps []*provider, version string) {
	b.Helper()
	for _, p := range ps {
		p.calls.Store(0)
	}
	warm(b, c, ps...)
	ctx := calling(b, version)
	req := &hello.HelloRequest{Name: "bench"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Say(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}
