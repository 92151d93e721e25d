package nacostest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/connectivity"

	"github.com/graylane/graylane/nacostest"
)

// hush is how long a test listens for nothing.
const hush = 100 * time.Millisecond

// get asks for the server's readiness.
func get(srv *nacostest.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+srv.Addr()+"/nacos/v3/admin/core/state/readiness", http.NoBody)
	if err != nil {
		return err
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func TestASilentServerSaysNothingAndComesBack(t *testing.T) {
	srv := nacostest.Run(t)
	c := subscribed(t, srv)
	srv.Silence()
	srv.Silence()

	// What was there before: no answer, no push, no end.
	answers := make(chan error, 1)
	go func() {
		_, err := c.try(t.Context(), "InstanceRequest", registerBody(`{"ip":"10.0.0.3","port":80}`))
		answers <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), hush)
	defer cancel()
	_, err := c.try(ctx, "HealthCheckRequest", "{}")
	require.ErrorContains(t, err, "DeadlineExceeded")
	register(srv, 1)
	register(srv, 2)

	// What is new: accepted and not answered.
	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.GRPCAddr())
	require.NoError(t, err)
	defer func() { _ = raw.Close() }()
	require.NoError(t, raw.SetReadDeadline(time.Now().Add(hush)))
	_, err = raw.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorIs(t, get(srv, hush), context.DeadlineExceeded)
	other := dial(t, srv.GRPCAddr())
	other.cc.Connect()
	require.Never(t, func() bool { return other.cc.GetState() == connectivity.Ready }, hush, 10*time.Millisecond)
	assert.Empty(t, c.pushes)
	assert.Empty(t, answers)
	assert.Len(t, srv.Connections(), 1, "connections stay")
	assert.Len(t, srv.Instances(user), 2, "the back door is open")

	srv.Resume()
	srv.Resume()
	require.NoError(t, <-answers, "it waited long enough")
	require.Eventually(t, func() bool { return len(c.hosts()) == 3 }, patience, time.Millisecond)
	assert.Equal(t, "HealthCheckResponse", c.call("HealthCheckRequest", "{}").Type)
	assert.Equal(t, "ServerCheckResponse", other.call("ServerCheckRequest", "{}").Type)
	require.NoError(t, get(srv, patience))
}

func TestPushesAfterASilenceAreTheNewest(t *testing.T) {
	srv := nacostest.Run(t)
	c := subscribed(t, srv)
	srv.Silence()
	for n := range 5 {
		register(srv, n)
		require.Never(t, func() bool { return len(c.pushes) > 0 }, 50*time.Millisecond, 10*time.Millisecond) // longer than the push delay
	}
	srv.Resume()
	assert.Len(t, c.hosts(), 5)
}

func TestASilentServerDoesNotHearThatAClientLeaves(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.register("10.0.0.1", "v1")
	srv.Silence()
	c.close()
	assert.Never(t, func() bool { return len(srv.Instances(user)) == 0 }, hush, 10*time.Millisecond)
	srv.Resume()
	_, err := srv.AwaitInstances(t.Context(), user, 0)
	require.NoError(t, err)
}

func TestASilentServerStops(t *testing.T) {
	srv := nacostest.Run(t)
	c := subscribed(t, srv)
	c.register("10.0.0.1", "v1")
	require.Len(t, c.hosts(), 1)
	srv.Silence()
	answers := make(chan error, 2)
	go func() {
		_, err := c.try(t.Context(), "HealthCheckRequest", "{}")
		answers <- err
	}()
	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.GRPCAddr())
	require.NoError(t, err)
	defer func() { _ = raw.Close() }()
	require.ErrorIs(t, get(srv, hush), context.DeadlineExceeded)

	started := time.Now()
	srv.Stop()
	assert.Less(t, time.Since(started), patience)
	require.Error(t, <-answers)
	require.Error(t, <-c.pushesClosed())
	_, err = raw.Read(make([]byte, 1))
	require.Error(t, err)
	assert.Empty(t, srv.Instances(user))
}

func TestARestartKeepsTheSilence(t *testing.T) {
	for _, data := range []nacostest.Data{nacostest.KeepData, nacostest.WipeData} {
		srv := nacostest.Run(t)
		register(srv, 1)
		c := connect(t, srv.GRPCAddr(), "naming")
		srv.Silence()
		require.NoError(t, srv.Restart(data))
		require.Error(t, <-c.pushesClosed(), "it breaks connections")
		require.ErrorIs(t, get(srv, hush), context.DeadlineExceeded)
		srv.Resume()
		want := []string{}
		if data == nacostest.KeepData {
			want = []string{"10.0.0.1 v1"}
		}
		again := connect(t, srv.GRPCAddr(), "naming")
		assert.Equal(t, want, hostsOf(t, again.call("ServiceQueryRequest", queryBody)))
	}
}

func TestADisconnectBreaksTheSilence(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	srv.Silence()
	require.True(t, srv.Disconnect(srv.Connections()[0].ID))
	require.Error(t, <-c.pushesClosed())
	require.Eventually(t, func() bool { return len(srv.Connections()) == 0 }, patience, time.Millisecond)
}

// Without a silence these two kept the server from stopping.
func TestNobodyHoldsUpTheStop(t *testing.T) {
	srv := nacostest.Run(t)
	arrived := make(chan struct{}, 1)
	srv.Intercept(func(nacostest.Request) nacostest.Action {
		arrived <- struct{}{}
		return nacostest.Drop()
	})
	for addr, text := range map[string]string{
		srv.GRPCAddr(): "", // says nothing
		srv.Addr():     "POST " + loginOf3 + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nusername=",
	} {
		raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = raw.Close() })
		_, err = raw.Write([]byte(text))
		require.NoError(t, err)
	}
	<-arrived
	started := time.Now()
	srv.Stop()
	assert.Less(t, time.Since(started), patience)
}

func ExampleServer_Silence() {
	srv := nacostest.Run(t{})
	defer srv.Close()

	srv.Silence()
	fmt.Println("silent:", get(srv, 100*time.Millisecond)) // a GET that waits so long for its answer
	srv.Resume()
	fmt.Println("resumed:", get(srv, 10*time.Second))
	// Output:
	// silent: context deadline exceeded
	// resumed: <nil>
}
