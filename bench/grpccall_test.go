package bench

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	gresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
)

// greeter is an instance that answers.
type greeter struct {
	hello.UnimplementedHelloServer
	version string
}

func (g *greeter) Say(context.Context, *hello.HelloRequest) (*hello.HelloReply, error) {
	return &hello.HelloReply{Version: g.version}, nil
}

func newGreeter(tb testing.TB, version string) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	s := grpc.NewServer()
	hello.RegisterHelloServer(s, &greeter{version: version})
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(ln) }()
	tb.Cleanup(func() { s.Stop(); <-served })
	return ln.Addr().String()
}

// BenchmarkRequestGRPC is a whole unary call over the loopback, of 16 workers: half of
// them go to v1 and half, by their metadata, to v2. round_robin, which does not know
// versions, goes round all.
func BenchmarkRequestGRPC(b *testing.B) {
	addrs := []string{newGreeter(b, "v1"), newGreeter(b, "v2"), newGreeter(b, "v1"), newGreeter(b, "v2")}
	for _, c := range inTurn([]struct {
		name   string
		client func(testing.TB, []string) hello.HelloClient
	}{
		{"ours", oursGRPC}, {"grpc-round_robin", roundRobinGRPC},
	}) {
		b.Run(c.name, func(b *testing.B) {
			client := c.client(b, addrs)
			plain := b.Context()
			canary := metadata.AppendToOutgoingContext(plain, "x-canary", "yes")
			for range 50 { // until all are connected
				reply, err := client.Say(canary, &hello.HelloRequest{}, grpc.WaitForReady(true))
				require.NoError(b, err)
				if c.name == "ours" {
					require.Equal(b, "v2", reply.GetVersion())
				}
				_, err = client.Say(plain, &hello.HelloRequest{}, grpc.WaitForReady(true))
				require.NoError(b, err)
			}
			req := &hello.HelloRequest{Name: "bench"}
			requests(b, func(i int) error {
				ctx := plain
				if i&1 == 1 {
					ctx = canary
				}
				_, err := client.Say(ctx, req)
				return err
			})
		})
	}
}

func oursGRPC(tb testing.TB, addrs []string) hello.HelloClient {
	tb.Helper()
	cc, err := grpcx.NewClient(newResolver(tb, byHeader, addrs), service,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, cc.Close()) })
	return hello.NewHelloClient(cc)
}

func roundRobinGRPC(tb testing.TB, addrs []string) hello.HelloClient {
	tb.Helper()
	m := manual.NewBuilderWithScheme("bench")
	var s gresolver.State
	for _, addr := range addrs {
		s.Endpoints = append(s.Endpoints, gresolver.Endpoint{Addresses: []gresolver.Address{{Addr: addr}}})
	}
	m.InitialState(s)
	cc, err := grpc.NewClient("bench:///"+service, grpc.WithResolvers(m), grpc.WithIdleTimeout(0),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, cc.Close()) })
	return hello.NewHelloClient(cc)
}
