package nacosconn

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/graylane/graylane/nacostest"
)

// reset asks the session to leave its server, and returns the connection after.
// There is one all the time.
func reset(t *testing.T, s *Session, srv *nacostest.Server, to string) (old, now *Conn) {
	t.Helper()
	old = connected(t, s)
	require.Len(t, srv.Connections(), 1)
	require.True(t, srv.Reset(srv.Connections()[0].ID, to))
	require.Eventually(t, func() bool {
		now, _ = s.Current()
		assert.NotNil(t, now)
		return now != old
	}, patience, time.Millisecond)
	return old, now
}

func TestResetMovesToTheNamedServerBeforeTheOldConnectionEnds(t *testing.T) {
	all := map[string]*nacostest.Server{}
	var addrs []string
	for range 3 {
		srv := nacostest.Run(t)
		all[srv.GRPCAddr()] = srv
		addrs = append(addrs, srv.Addr())
	}
	s := open(t, Config{Servers: addrs}, ModuleNaming, Handler{})
	first := all[connected(t, s).server.grpc()]
	// The one before is not the one that would be next anyway.
	named := addrs[(slices.Index(addrs, first.Addr())+2)%3]
	old, now := reset(t, s, first, named)
	assert.Equal(t, named, now.server.http())
	select {
	case <-old.Lost():
		assert.Fail(t, "the old connection has no grace")
	default:
	}
	awaitLost(t, old, patience)
	require.Eventually(t, func() bool { return len(first.Connections()) == 0 }, patience, time.Millisecond)

	_, now = reset(t, s, all[now.server.grpc()], "")
	assert.NotEqual(t, named, now.server.http(), "to any other of the list")
}

func TestResetToAServerThatIsNotOursIsNotFollowed(t *testing.T) {
	for name, cred := range map[string]Credentials{"open": nil, "with credentials": &counted{}} {
		t.Run(name, func(t *testing.T) {
			ours, foreign := nacostest.Run(t), nacostest.Run(t)
			var seen errorsOf
			s := open(t, Config{Servers: []string{ours.Addr()}, Credentials: cred}, ModuleNaming, Handler{OnError: seen.add})
			_, now := reset(t, s, ours, foreign.Addr())
			assert.Equal(t, ours.GRPCAddr(), now.server.grpc())
			assert.Empty(t, foreign.Connections())
			assert.Equal(t, []string{"nacos " + ours.GRPCAddr() + ": asks us to go to " + foreign.Addr() +
				", which is not one of the configured servers"}, seen.all())
		})
	}
}

func TestResetFindsAServerThatIsConfiguredByName(t *testing.T) {
	srv := nacostest.Run(t)
	_, port, err := net.SplitHostPort(srv.Addr())
	require.NoError(t, err)
	s := open(t, Config{Servers: []string{"localhost:" + port}}, ModuleNaming, Handler{})
	_, now := reset(t, s, srv, srv.Addr())
	assert.Equal(t, "localhost:"+port, now.server.http(), "certificates are for the name")
	host, _, err := net.SplitHostPort(now.server.dial())
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", host)
}

func TestFindKnowsOurServers(t *testing.T) {
	ours := []server{{host: "10.0.0.1", port: 8848}, {host: "localhost", port: 8849}, {host: "::1", port: 8848}}
	for _, c := range []struct {
		host string
		port int
		want server // zero: not ours
	}{
		{"10.0.0.1", 8848, ours[0]},
		{"::ffff:10.0.0.1", 8848, ours[0]},
		{"0:0::1", 8848, ours[2]},
		{"LOCALHOST", 8849, ours[1]},
		{"127.0.0.1", 8849, server{host: "localhost", port: 8849, ip: netip.MustParseAddr("127.0.0.1")}},
		{"10.0.0.1", 8849, server{}},
		{"127.0.0.1", 8848, server{}},
		{"10.0.0.2", 8848, server{}},
		{"elsewhere.invalid", 8848, server{}},
	} {
		got, err := find(t.Context(), ours, server{host: c.host, port: c.port})
		assert.Equal(t, c.want, got, c.host)
		if c.want == (server{}) {
			assert.ErrorContains(t, err, net.JoinHostPort(c.host, strconv.Itoa(c.port))+", which is not one of", c.host)
		}
	}
}

func TestServerThatResetsEveryConnectionIsNotRunDown(t *testing.T) {
	old := &oldServer{replies: make(chan *auto.Payload, 10_000)}
	old.asks = []*auto.Payload{{Metadata: &auto.Metadata{Type: typeReset}, Body: &anypb.Any{Value: []byte(`{"requestId":"1"}`)}}}
	open(t, Config{Servers: []string{old.run(t)}}, ModuleNaming, Handler{})
	require.Eventually(t, func() bool { return old.setups.Load() >= 3 }, patience, time.Millisecond, "the first is followed at once")
	assert.Never(t, func() bool { return old.setups.Load() > 8 }, time.Second, 10*time.Millisecond)
}

func TestServerThatDropsEveryConnectionIsNotRunDown(t *testing.T) {
	srv := nacostest.Run(t)
	s := open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{})
	start := time.Now()
	for range 6 {
		c := connected(t, s)
		for _, info := range srv.Connections() {
			srv.Disconnect(info.ID)
		}
		awaitLost(t, c, patience)
	}
	assert.GreaterOrEqual(t, time.Since(start), 700*time.Millisecond, "the pauses grow")
}

func TestPaceForgetsOnlyAfterAConnectionThatLived(t *testing.T) {
	var p pace
	assert.Zero(t, p.reset(0), "the first is obeyed at once")
	assert.GreaterOrEqual(t, p.reset(settled-1), backoffFirst, "the second is not")
	assert.GreaterOrEqual(t, p.lost(settled-1), 2*backoffFirst)
	assert.GreaterOrEqual(t, p.failed(), 4*backoffFirst)
	assert.LessOrEqual(t, p.lost(settled), backoffFirst)
	assert.GreaterOrEqual(t, p.reset(0), backoffFirst)
	assert.Zero(t, p.reset(settled))
	assert.GreaterOrEqual(t, p.reset(0), backoffFirst)
}
