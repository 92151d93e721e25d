package nacostest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

var user = registry.Service{Name: "user"}

func TestOptionsAreRefusedTogether(t *testing.T) {
	for addr, want := range map[string]string{
		"localhost":       "want ip:port",
		"127.0.0.1:0":     "must lie between",
		"127.0.0.1:64536": "must lie between",
	} {
		_, err := nacostest.Start(nacostest.WithAddr(addr), nacostest.WithPushDelay(-1), nacostest.WithAuth("u", ""), nacostest.WithTokenTTL(0))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "push delay -1ns is negative")
		require.ErrorContains(t, err, "password must not be empty")
		require.ErrorContains(t, err, "token TTL 0s is not positive")
	}
}

func TestATakenPortIsAnError(t *testing.T) {
	srv := nacostest.Run(t)
	_, err := nacostest.Start(nacostest.WithAddr(srv.Addr()))
	require.ErrorContains(t, err, "address already in use")
	srv.Close()
	again, err := nacostest.Start(nacostest.WithAddr(srv.Addr()))
	require.NoError(t, err)
	defer again.Close()
	assert.Equal(t, srv.Addr(), again.Addr())
	assert.Equal(t, srv.GRPCAddr(), again.GRPCAddr())
}

type failingTB struct {
	nacostest.TB
	failed string
}

func (f *failingTB) Fatalf(format string, args ...any) { f.failed = fmt.Sprintf(format, args...) }

func TestRunFailsTheTest(t *testing.T) {
	tb := &failingTB{TB: t}
	assert.Nil(t, nacostest.Run(tb, nacostest.WithAddr("x")))
	assert.Contains(t, tb.failed, `nacostest: address "x"`)
}

func TestStopBreaksConnectionsAndRequests(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.register("10.0.0.1", "v1")
	arrived := make(chan struct{})
	srv.Intercept(func(nacostest.Request) nacostest.Action {
		close(arrived)
		return nacostest.Drop()
	})
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(t.Context(), "HealthCheckRequest", "{}")
		failed <- err
	}()
	<-arrived
	srv.Stop()
	srv.Stop()
	require.Error(t, <-failed)
	assert.Empty(t, srv.Connections())
	assert.Empty(t, srv.Instances(user), "the instances of a connection go with it")
	srv.Close()
}

func TestRestartKeepsOrWipes(t *testing.T) {
	for _, data := range []nacostest.Data{nacostest.KeepData, nacostest.WipeData} {
		srv := nacostest.Run(t)
		c := connect(t, srv.GRPCAddr(), "naming")
		c.register("10.0.0.1", "v1")
		srv.Register(user, nacostest.NewInstance("10.0.0.2", 80, nil))
		srv.Publish("G", "d", "content")
		addr := srv.Addr()

		require.NoError(t, srv.Restart(data))
		assert.Equal(t, addr, srv.Addr())
		require.Error(t, <-c.pushesClosed())
		_, ok := srv.Config("G", "d")
		assert.Equal(t, data == nacostest.KeepData, ok)
		want := 0
		if data == nacostest.KeepData {
			want = 1
		}
		assert.Len(t, srv.Instances(user), want)

		again := connect(t, srv.GRPCAddr(), "naming")
		again.register("10.0.0.1", "v2")
		assert.Len(t, srv.Instances(user), want+1)
	}
}

func TestConnectionsAreToldApart(t *testing.T) {
	srv := nacostest.Run(t)
	assert.Empty(t, srv.Connections())
	dial(t, srv.GRPCAddr()).call("ServerCheckRequest", "{}")
	assert.Empty(t, srv.Connections(), "not set up")

	c := dial(t, srv.GRPCAddr())
	c.setup(`{"clientVersion":"test","tenant":"ns","labels":{"module":"config","app":"x"},"abilityTable":{}}`)
	c.await()
	list := srv.Connections()
	require.Len(t, list, 1)
	assert.Equal(t, "config", list[0].Module)
	assert.Equal(t, "test", list[0].ClientVersion)
	assert.Equal(t, "ns", list[0].Namespace)
	assert.Equal(t, map[string]string{"module": "config", "app": "x"}, list[0].Labels)
	id := c.call("ServerCheckRequest", "{}").Body["connectionId"]
	assert.Equal(t, id, list[0].ID)

	assert.False(t, srv.Disconnect("nobody"))
	assert.True(t, srv.Disconnect(list[0].ID))
	require.Error(t, <-c.pushesClosed())
	require.Eventually(t, func() bool { return len(srv.Connections()) == 0 }, patience, time.Millisecond)
}

func TestAClientIsAskedToMove(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	id := srv.Connections()[0].ID
	assert.False(t, srv.Reset("nobody", ""))
	require.True(t, srv.Reset(id, "127.0.0.1:8848"))
	m := c.await()
	assert.Equal(t, "ConnectResetRequest", m.Type)
	assert.Equal(t, "127.0.0.1", m.Body["serverIp"])
	assert.Equal(t, "8848", m.Body["serverPort"])
	assert.Equal(t, id, m.Body["connectionId"])
	require.True(t, srv.Reset(id, ""))
	m = c.await()
	assert.Equal(t, "ConnectResetRequest", m.Type)
	assert.NotContains(t, m.Body, "serverIp")
}

func TestWithoutAbilitiesThereIsNoAck(t *testing.T) {
	srv := nacostest.Run(t)
	c := dial(t, srv.GRPCAddr())
	assert.InDelta(t, 301, c.call("HealthCheckRequest", "{}").Body["errorCode"], 0)
	c.setup(`{"labels":{"module":"naming"}}`)
	require.Eventually(t, func() bool { return c.call("HealthCheckRequest", "{}").Type == "HealthCheckResponse" }, patience, time.Millisecond)
	c.call("SubscribeServiceRequest", subscribeBody)
	assert.Equal(t, "NotifySubscriberRequest", c.await().Type, "the first push is not an ack")
}

func TestTheStreamBeginsWithTheSetup(t *testing.T) {
	for name, body := range map[string]string{"unreadable": "{", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			srv := nacostest.Run(t)
			c := dial(t, srv.GRPCAddr())
			c.setup(body)
			require.Error(t, <-c.pushesClosed())
			assert.Empty(t, srv.Connections())
		})
	}
}

func TestHTTPOfAnUnknownPath(t *testing.T) {
	srv := nacostest.Run(t)
	status, _ := curl(t, http.MethodGet, srv.Addr(), "/nacos/v3/nosuch", "")
	assert.Equal(t, http.StatusNotFound, status)
	status, _ = curl(t, http.MethodPatch, srv.Addr(), "/nacos/v3/client/ns/instance", "")
	assert.Equal(t, http.StatusMethodNotAllowed, status)
}

func ExampleStart() {
	srv, err := nacostest.Start()
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet,
		"http://"+srv.Addr()+"/nacos/v3/admin/core/state/readiness", http.NoBody)
	if err != nil {
		panic(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(resp.Body)
	fmt.Print(string(body), err)
	// Output:
	// {"code":0,"message":"success","data":"ok"}
	// <nil>
}

// t stands for the *testing.T of a test.
type t struct{ *testing.T }

func (t) Helper()               {}
func (t) Cleanup(func())        {}
func (t) Fatalf(string, ...any) {}

func ExampleRun() {
	srv := nacostest.Run(t{})
	defer srv.Close() // a test needs no defer: Run closes the server at its end

	user := registry.Service{Name: "user"}
	srv.Register(user, nacostest.NewInstance("10.0.0.1", 8080, map[string]string{"version": "v1"}))
	srv.Publish("GRAY", "gray.user.yaml", "gray: v1")

	// What the console does when an operator takes half of the weight away.
	in := srv.Instances(user)[0]
	in.Weight = 0.5
	srv.Edit(user, in)
	for _, in := range srv.Instances(user) {
		fmt.Println(in.ID(), in.Weight, in.Metadata)
	}
	// Output:
	// 10.0.0.1:8080#DEFAULT 0.5 map[version:v1]
}

func ExampleNewInstance() {
	in := nacostest.NewInstance("10.0.0.1", 8080, map[string]string{"version": "v1"})
	fmt.Println(in.IP, in.Port, in.Weight, in.Healthy)
	// Output: 10.0.0.1 8080 1 true
}
