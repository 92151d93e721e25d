package grpcx

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/graylane/graylane/lane"
)

func TestAnEdgeTakesOffWhatOnlyInsidersMaySay(t *testing.T) {
	tens := netip.MustParsePrefix("10.0.0.0/8")
	for _, c := range []struct {
		name, from    string
		option        ServerOption
		lane, version string
		baggage       []string
	}{
		{"no edge", "192.0.2.1", WithVersion("v1"), "blue", "v2", []string{"a=b,gray-lane=blue"}},
		{"edge", "192.0.2.1", Edge(), "", "", []string{"a=b"}},
		{"an edge that keeps the version", "192.0.2.1", Edge("X-Gray-Version"), "", "v2", []string{"a=b"}},
		{"an edge that keeps baggage", "192.0.2.1", Edge("baggage"), "blue", "", []string{"a=b,gray-lane=blue"}},
		{"a trusted peer", "10.0.0.1", TrustedPeers(tens), "blue", "v2", []string{"a=b,gray-lane=blue"}},
		{"another peer", "192.0.2.1", TrustedPeers(tens), "", "", []string{"a=b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(
				"x-gray-lane", "blue", "x-gray-version", "v2", "x-user-id", "u1", "baggage", "a=b,gray-lane=blue"))
			ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(c.from), Port: 1}})
			ctx = newIncoming(newServerOptions([]ServerOption{c.option})).accept(ctx, "/a.B/C")
			version, _ := lane.Header(ctx, lane.HeaderVersion)
			assert.Equal(t, c.lane, lane.From(ctx))
			assert.Equal(t, c.version, version)
			assert.Equal(t, "u1", lane.User(ctx))
			md, _ := metadata.FromIncomingContext(ctx)
			assert.Equal(t, c.baggage, md["baggage"], "nor does the handler see it")
			assert.Equal(t, c.version != "", len(md["x-gray-version"]) == 1)
		})
	}
}
