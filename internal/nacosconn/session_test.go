package nacosconn

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/graylane/graylane/nacostest"
)

func TestASessionTriesUntilEachServerHasFailed(t *testing.T) {
	t.Parallel()
	// One that accepts, and says nothing.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()

	s := open(t, Config{Servers: []string{deadAddr(t)}}, ModuleNaming, Handler{})
	require.Eventually(t, func() bool { return !s.Trying() }, patience, time.Millisecond)
	require.ErrorContains(t, s.Reason(), "connection refused")
	s = open(t, Config{Servers: []string{httpAddr(silent.Addr().(*net.TCPAddr).Port)}}, ModuleNaming, Handler{})
	conn, err := silent.Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.Error(t, s.Reason())
	assert.True(t, s.Trying())
}

func TestSessionIntroducesItself(t *testing.T) {
	srv := nacostest.Run(t)
	s := open(t, Config{Servers: []string{srv.Addr()}, Namespace: "dev", Labels: map[string]string{"app": "a"}}, ModuleConfig, Handler{})
	require.NoError(t, s.Ready(within(t, patience)))
	local, ok := s.LocalAddr()
	assert.True(t, ok)
	assert.Equal(t, netip.MustParseAddr("127.0.0.1"), local)
	conns := srv.Connections()
	require.Len(t, conns, 1)
	assert.Equal(t, "config", conns[0].Module)
	assert.Equal(t, "dev", conns[0].Namespace)
	assert.Equal(t, "a", conns[0].Labels["app"])
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Ready(within(t, patience)), ErrClosed)
	local, ok = s.LocalAddr()
	assert.True(t, ok, "the last address stays known: %v", local)
}

func TestReadySaysWhyThereIsNoConnection(t *testing.T) {
	dead := deadAddr(t)
	var seen errorsOf
	s := open(t, Config{Servers: []string{dead}}, ModuleNaming, Handler{OnError: seen.add})
	seen.awaitReason(t, s, "connection refused")
	err := s.Ready(within(t, time.Second))
	srv, parseErr := parseServer(dead)
	require.NoError(t, parseErr)
	want := "nacos " + srv.grpc() + ": connection refused (gRPC port = HTTP port + 1000)"
	require.EqualError(t, err, want+": context deadline exceeded")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, []string{want}, seen.all(), "one reason is reported once")
}

func TestReadySaysThatAServerIsSilentOrStarting(t *testing.T) {
	t.Parallel()
	var silent, starting errorsOf
	s := open(t, Config{Servers: []string{silentServer(t)}}, ModuleNaming, Handler{OnError: silent.add})
	silent.awaitReason(t, s, "no answer to ServerCheckRequest within 3s (gRPC port = HTTP port + 1000)")

	srv := nacostest.Run(t)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ServerCheckRequest" {
			return nacostest.Fail(300, "starting")
		}
		return nacostest.Pass()
	})
	s = open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{OnError: starting.add})
	starting.awaitReason(t, s, "the server is starting")
	srv.Intercept(nil)
	require.NoError(t, s.Ready(within(t, patience)))
}

func TestNextServerIsTriedAtOnce(t *testing.T) {
	srv := nacostest.Run(t)
	start := time.Now()
	s := open(t, Config{Servers: []string{deadAddr(t), srv.Addr(), deadAddr(t)}}, ModuleNaming, Handler{})
	require.NoError(t, s.Ready(within(t, patience)))
	assert.Less(t, time.Since(start), backoffMost)
}

func TestSessionMovesOnWhenItsServerDies(t *testing.T) {
	a, b := nacostest.Run(t), nacostest.Run(t)
	s := open(t, Config{Servers: []string{a.Addr(), b.Addr()}}, ModuleNaming, Handler{})
	c := connected(t, s)
	first, other := a, b
	if len(b.Connections()) == 1 {
		first, other = b, a
	}
	first.Stop()
	awaitLost(t, c, patience)
	start := time.Now()
	c = connected(t, s)
	assert.Less(t, time.Since(start), backoffMost)
	assert.Equal(t, other.GRPCAddr(), c.server.grpc())
	other.Stop()
	awaitLost(t, c, patience)
	require.NoError(t, first.Restart(nacostest.WipeData))
	assert.Equal(t, first.GRPCAddr(), connected(t, s).server.grpc())
}

func TestHungServerIsNoticedByItsSilence(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	var seen errorsOf
	s := open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{OnError: seen.add})
	c := connected(t, s)
	srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() })
	start := time.Now()
	awaitLost(t, c, 15*time.Second)
	assert.GreaterOrEqual(t, time.Since(start), healthIdle+requestTimeout-time.Second)
	seen.awaitReason(t, s, "no answer to HealthCheckRequest within 3s")
	start = time.Now()
	require.NoError(t, s.Close())
	assert.Less(t, time.Since(start), requestTimeout)
}

func TestUnansweredRequestEndsWithItsContextAndBringsAHealthCheck(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	opened := time.Now()
	s := open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{})
	c := connected(t, s)
	var checks atomic.Int64
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "HealthCheckRequest" {
			checks.Add(1)
			return nacostest.Pass()
		}
		return nacostest.Drop()
	})
	start := time.Now()
	_, err := c.Query(within(t, 50*time.Millisecond), "G", "s")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(start), requestTimeout)
	_, err = c.Query(within(t, patience), "G", "s")
	require.ErrorContains(t, err, "no answer to ServiceQueryRequest within 3s")
	require.Eventually(t, func() bool { return checks.Load() == 1 }, patience, time.Millisecond)
	assert.Less(t, time.Since(opened), healthIdle, "before it would be idle")
	select {
	case <-c.Lost():
		assert.Fail(t, "a healthy connection was given up")
	default:
	}
}

func TestServerThatIsFirstToSeeADeadlineIsNotToBlame(t *testing.T) {
	old := &oldServer{}
	s := open(t, Config{Servers: []string{old.run(t)}}, ModuleNaming, Handler{})
	_, err := connected(t, s).Query(within(t, 50*time.Millisecond), "G", "s")
	require.Equal(t, context.DeadlineExceeded, err)
}

func TestConnectionThatTheServerForgotIsReplaced(t *testing.T) {
	srv := nacostest.Run(t)
	s := open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{})
	c := connected(t, s)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ServiceQueryRequest" {
			return nacostest.Fail(codeUnregistered, "Connection is unregistered.")
		}
		return nacostest.Pass()
	})
	_, err := c.Query(within(t, patience), "G", "s")
	var refused *ServerError
	require.ErrorAs(t, err, &refused)
	awaitLost(t, c, patience)
	assert.NotSame(t, c, connected(t, s))
}

func TestSetupThatIsNeverAcknowledgedFails(t *testing.T) {
	t.Parallel()
	var seen errorsOf
	srv := nacostest.Run(t)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == typeSetupAck {
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	s := open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{OnError: seen.add})
	seen.awaitReason(t, s, "no answer to ConnectionSetupRequest within 3s")
}

func TestServerThatDoesNotNegotiateIsPolledUntilItKnowsUs(t *testing.T) {
	old := &oldServer{refusals: 3}
	s := open(t, Config{Servers: []string{old.run(t)}}, ModuleNaming, Handler{})
	require.NoError(t, s.Ready(within(t, patience)))
	assert.EqualValues(t, 4, old.checks.Load())
}

func TestCredentialsTravelAndAreRenewedOnce(t *testing.T) {
	old := &oldServer{forbidden: 1}
	cred := &counted{}
	s := open(t, Config{Servers: []string{old.run(t)}, Credentials: cred}, ModuleNaming, Handler{})
	c := connected(t, s)
	require.NoError(t, c.Unsubscribe(within(t, patience), "G", "s"))
	assert.EqualValues(t, 1, cred.renewed.Load())
	assert.Equal(t, "token 0", cred.refused.Load())
	assert.Equal(t, "token 1", old.token.Load(), "the second try has the new token")

	old.forbidden = 10
	err := c.Unsubscribe(within(t, patience), "G", "s")
	var refused *ServerError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, codeForbidden, refused.Code)
	assert.EqualValues(t, 2, cred.renewed.Load())
	assert.EqualValues(t, 4, old.others.Load())
}

func TestForbiddenRequestIsNotRepeatedWithTheSameCredentials(t *testing.T) {
	old := &oldServer{forbidden: 10}
	cred := &counted{final: true}
	s := open(t, Config{Servers: []string{old.run(t)}, Credentials: cred}, ModuleNaming, Handler{})
	err := connected(t, s).Unsubscribe(within(t, patience), "G", "s")
	var refused *ServerError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, codeForbidden, refused.Code)
	assert.EqualValues(t, 1, cred.renewed.Load())
	assert.EqualValues(t, 1, old.others.Load())
}

func TestRefusedLoginKeepsTheSessionFromBeingReady(t *testing.T) {
	srv := nacostest.Run(t)
	var seen errorsOf
	cfg := Config{Servers: []string{srv.Addr()}, Credentials: UserPassword("nobody", "x")}
	s := open(t, cfg, ModuleNaming, Handler{OnError: seen.add})
	seen.awaitReason(t, s, `login of user "nobody" refused`)
}

func TestCloseIsQuickWhateverTheServerDoes(t *testing.T) {
	hung := nacostest.Run(t)
	for name, addr := range map[string]string{"dead": deadAddr(t), "silent": silentServer(t), "hung": hung.Addr()} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(Config{Servers: []string{addr}}, ModuleNaming, Handler{})
			require.NoError(t, err)
			if name == "hung" {
				c := connected(t, s)
				hung.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() })
				go func() { _, _ = c.Query(context.WithoutCancel(t.Context()), "G", "s") }()
			}
			start := time.Now()
			require.NoError(t, s.Close())
			assert.Less(t, time.Since(start), requestTimeout)
		})
	}
}

func TestPushesOfALostConnectionAreDropped(t *testing.T) {
	srv := nacostest.Run(t)
	var lists atomic.Int64
	s := open(t, Config{Servers: []string{srv.Addr()}}, ModuleNaming, Handler{OnService: func(ServiceInfo) { lists.Add(1) }})
	c := connected(t, s)
	s.deliver(c, &push{service: &ServiceInfo{}})
	assert.EqualValues(t, 1, lists.Load())
	require.True(t, srv.Disconnect(srv.Connections()[0].ID))
	awaitLost(t, c, patience)
	require.NotSame(t, c, connected(t, s))
	s.deliver(c, &push{service: &ServiceInfo{}})
	assert.EqualValues(t, 1, lists.Load())
}

func TestRequestsOfTheServerAreAnsweredInOrder(t *testing.T) {
	asks := []struct{ typ, body, id, reply string }{
		{typeDetection, `{"requestId":"1"}`, "1", "ClientDetectionResponse"},
		{typeServiceChange, realPush, "7", "NotifySubscriberResponse"},
		{typeServiceChange, `{"requestId":"2","serviceInfo":{}}`, "2", "NotifySubscriberResponse"},
		{typeConfigChange, `{"requestId":"3","dataId":"d","group":"g"}`, "3", "ConfigChangeNotifyResponse"},
		{"NewRequest", `{"requestId":"4"}`, "4", "NewResponse"},
	}
	old := &oldServer{replies: make(chan *auto.Payload, len(asks))}
	for _, a := range asks {
		old.asks = append(old.asks, &auto.Payload{Metadata: &auto.Metadata{Type: a.typ}, Body: &anypb.Any{Value: []byte(a.body)}})
	}
	var seen errorsOf
	open(t, Config{Servers: []string{old.run(t)}}, ModuleNaming, Handler{OnError: seen.add})
	for _, a := range asks {
		select {
		case p := <-old.replies:
			assert.Equal(t, a.reply, p.GetMetadata().GetType())
			assert.JSONEq(t, `{"resultCode":200,"errorCode":0,"success":true,"message":"","requestId":"`+a.id+`"}`, string(p.GetBody().GetValue()))
		case <-time.After(patience):
			require.FailNow(t, "no reply to "+a.typ)
		}
	}
	assert.Len(t, seen.all(), 2, "what could not be read is reported: %v", seen.all())
}
