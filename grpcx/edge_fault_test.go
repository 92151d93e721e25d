package grpcx_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
)

// front is a service that asks the greeter for its callers.
type front struct {
	hello.UnimplementedHelloServer
	next hello.HelloClient
}

func (f *front) Say(ctx context.Context, req *hello.HelloRequest) (*hello.HelloReply, error) {
	return f.next.Say(ctx, req)
}

// chain is a front, a greeter, and a greeter in lane blue behind it.
type chain struct {
	stable, blue *provider
	client       hello.HelloClient // a plain one, of the front
}

func newChain(t *testing.T, opts ...grpcx.ServerOption) *chain {
	t.Helper()
	w := newWorld(t, "gray: v1\ndefault: v1\n")
	c := &chain{stable: newProvider(t, "v1"), blue: newProvider(t, "v1")}
	in := c.blue.instance()
	in.Metadata[registry.KeyLane] = "blue"
	w.registry.Set(greeter, c.stable.instance(), in)
	_, next := w.dial(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer(grpcx.Interceptors(opts...)...)
	hello.RegisterHelloServer(s, &front{next: next})
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() { s.Stop(); wg.Wait() })
	cc, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	c.client = hello.NewHelloClient(cc)
	return c
}

// ask returns who answers a call with these headers.
func (c *chain) ask(t *testing.T, pairs ...string) string {
	t.Helper()
	reply, err := c.client.Say(metadata.NewOutgoingContext(calling(t, ""), metadata.Pairs(pairs...)), &hello.HelloRequest{})
	require.NoError(t, err, "%.100q", pairs)
	return reply.GetInstance()
}

// TestASpoofedLaneReachesNobody: a hundred calls from outside, in every spelling.
func TestASpoofedLaneReachesNobody(t *testing.T) { // F48
	outside := newChain(t, grpcx.Edge())
	trusted := newChain(t, grpcx.TrustedPeers(netip.MustParsePrefix("127.0.0.0/8")))
	for _, pairs := range [][]string{
		{"x-gray-lane", "blue"},
		{"X-Gray-Lane", "blue"},
		{"baggage", "gray-lane=blue"},
		{"baggage", "a=b", "baggage", "gray-lane=blue;p=q"},
		{"x-gray-lane", "blue", "baggage", "gray-lane=blue", "x-forwarded-for", "127.0.0.1"},
	} {
		for range 20 {
			require.Equal(t, outside.stable.addr, outside.ask(t, pairs...), "%q", pairs)
		}
		assert.Equal(t, trusted.blue.addr, trusted.ask(t, pairs...), "%q", pairs)
	}
	assert.Zero(t, outside.blue.calls.Load())
}

// TestHeadersOfAnySizeAreNoErrorOfOurs: what is too large for a lane ends at the first
// service, whose call is one without a lane.
func TestHeadersOfAnySizeAreNoErrorOfOurs(t *testing.T) { // F47
	c := newChain(t)
	for _, size := range []int{8 << 10, 64 << 10, 1<<20 - 8<<10} {
		large := strings.Repeat("b", size)
		for name, pairs := range map[string][]string{
			"lane":    {"x-gray-lane", large},
			"user":    {"x-user-id", large},
			"baggage": {"baggage", large + "=c,gray-lane=blue"},
		} {
			assert.Equal(t, c.stable.addr, c.ask(t, pairs...), "%s of %d bytes", name, size)
			for _, name := range []string{lane.HeaderLane, lane.HeaderUser, lane.HeaderBaggage} {
				assert.Empty(t, c.stable.header(name))
			}
		}
	}
	ctx := metadata.AppendToOutgoingContext(calling(t, ""), lane.HeaderLane, strings.Repeat("b", 32<<20))
	_, err := c.client.Say(ctx, &hello.HelloRequest{})
	require.Error(t, err, "gRPC's own limit")
	assert.NotEqual(t, codes.OK, status.Code(err))
	assert.Equal(t, c.blue.addr, c.ask(t, "x-gray-lane", "blue"), "the next call is as if nothing had been")
}

// TestTwoLanesInOneCallAreOne: the header beats baggage, and goes on in both.
func TestTwoLanesInOneCallAreOne(t *testing.T) { // F49
	c := newChain(t)
	assert.Equal(t, c.blue.addr, c.ask(t, "x-gray-lane", "blue", "baggage", "gray-lane=green"))
	assert.Equal(t, []string{"gray-lane=blue"}, c.blue.header(lane.HeaderBaggage))
	assert.Equal(t, c.stable.addr, c.ask(t, "x-gray-lane", "green", "baggage", "gray-lane=blue"))
	assert.Equal(t, []string{"green"}, c.stable.header(lane.HeaderLane))
	assert.Equal(t, []string{"gray-lane=green"}, c.stable.header(lane.HeaderBaggage))
	assert.Equal(t, c.blue.addr, c.ask(t, "baggage", "gray-lane=blue"), "a hop between lost the header")
	assert.Equal(t, c.stable.addr, c.ask(t, "x-gray-lane", "blue", "x-gray-lane", "green"), "two headers are none")
}
