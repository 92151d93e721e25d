package grpcx

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
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

func TestAnEdgePutsCallsFromOutsideIntoLanes(t *testing.T) {
	r, err := resolver.New(memory.New(), configmemory.New(map[string]string{
		config.GlobalDocID: `
gray: v1
enter:
- {name: testers, when: {header.x-tester: "yes", path: {prefix: /a.B/}, user: u1}, lane: blue}
`,
		config.SwitchesDocID("shop"): `
gray: v1
switches: {new: {value: false, rules: [{name: a, when: {path: /a.B/C, header.x-tester: "yes", lane: blue, user: u1}, value: true}]}}
`,
	}))
	require.NoError(t, err)
	defer r.Close()
	s, err := r.Switches("shop")
	require.NoError(t, err)
	require.NoError(t, s.Ready(t.Context()))
	for _, c := range []struct {
		name    string
		pairs   []string
		options []ServerOption
		lane    string
	}{
		{"a tester", []string{"x-tester", "yes", "x-user-id", "u1"}, nil, "blue"},
		{"another user", []string{"x-tester", "yes", "x-user-id", "u2"}, nil, ""},
		{"who asks for a lane", []string{"x-gray-lane", "green"}, nil, ""},
		{"who may ask for a lane", []string{"x-gray-lane", "green", "x-tester", "yes"}, []ServerOption{Edge("x-gray-lane")}, "green"},
		{"nothing", nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			if c.pairs != nil {
				ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(c.pairs...))
			}
			ctx = newIncoming(newServerOptions(append(c.options, Enter(r)))).accept(ctx, "/a.B/C")
			assert.Equal(t, c.lane, lane.From(ctx))
			md, _ := metadata.FromIncomingContext(ctx)
			assert.Equal(t, c.lane, strings.Join(md["x-gray-lane"], " "))
			assert.Equal(t, c.lane == "blue", s.Bool(ctx, "new", false), "switches ask about the call as it goes on")
		})
	}
}
