package nacostest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

const notify = "NotifySubscriberRequest"

// first applies an action to the first message of a type, the others pass.
func first(typ string, a nacostest.Action) func(nacostest.Request) nacostest.Action {
	var seen atomic.Bool
	return func(r nacostest.Request) nacostest.Action {
		if r.Type == typ && seen.CompareAndSwap(false, true) {
			return a
		}
		return nacostest.Pass()
	}
}

func register(srv *nacostest.Server, hosts ...int) {
	for _, n := range hosts {
		srv.Register(user, nacostest.NewInstance(fmt.Sprint("10.0.0.", n), 80, map[string]string{"version": "v1"}))
	}
}

// subscribed returns a client that has had its first, empty list.
func subscribed(t *testing.T, srv *nacostest.Server) *client {
	t.Helper()
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	require.Empty(t, c.hosts())
	return c
}

func TestListsAreShortened(t *testing.T) {
	for n, want := range map[int][]string{
		-1: {}, 0: {}, 1: {"10.0.0.1 v1"}, 9: {"10.0.0.1 v1", "10.0.0.2 v1", "10.0.0.3 v1"},
	} {
		srv := nacostest.Run(t)
		register(srv, 1, 2, 3)
		srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.KeepHosts(n) })
		c := connect(t, srv.GRPCAddr(), "naming")
		assert.Equal(t, want, hostsOf(t, c.call("SubscribeServiceRequest", subscribeBody)))
		push := c.await()
		assert.Equal(t, want, hostsOf(t, push))
		assert.NotEmpty(t, push.Body["requestId"], "the rest stays")
		query := c.call("ServiceQueryRequest", queryBody)
		assert.Equal(t, want, hostsOf(t, query))
		assert.Equal(t, "user", query.Body["serviceInfo"].(map[string]any)["name"])
		assert.Len(t, srv.Instances(user), 3, "the server knows better")
	}
}

func TestTheServersClockIsWrong(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Publish("G", "d", "content")
	for _, at := range []time.Time{time.UnixMilli(1), time.Now().Add(24 * time.Hour)} {
		want := float64(at.UnixMilli())
		srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Clock(at) })
		c := connect(t, srv.GRPCAddr(), "naming")
		clock := func(m message) any { return m.Body["serviceInfo"].(map[string]any)["lastRefTime"] }
		assert.InDelta(t, want, clock(c.call("SubscribeServiceRequest", subscribeBody)), 0)
		assert.InDelta(t, want, clock(c.await()), 0)
		c.register("10.0.0.1", at.String())
		assert.InDelta(t, want, clock(c.await()), 0, "it stands")
		assert.InDelta(t, want, clock(c.call("ServiceQueryRequest", queryBody)), 0)
		assert.InDelta(t, want, c.call("ConfigQueryRequest", `{"group":"G","dataId":"d"}`).Body["lastModified"], 0)
	}
}

func TestAnythingMayBeSent(t *testing.T) {
	for _, hostile := range []string{``, `{`, `null`, `[]`, `{"serviceInfo":{"hosts":[{"port":"x"}]}}`} {
		srv := nacostest.Run(t)
		srv.Publish("G", "d", "content")
		c := subscribed(t, srv)
		rewrite := nacostest.Rewrite(func(body json.RawMessage) json.RawMessage {
			assert.True(t, json.Valid(body))
			return json.RawMessage(hostile)
		})
		// Helpers leave alone what they do not know.
		all := rewrite.And(nacostest.KeepHosts(2)).And(nacostest.Clock(time.UnixMilli(1)))
		srv.Intercept(func(r nacostest.Request) nacostest.Action {
			if strings.HasPrefix(r.Type, "GET") {
				return rewrite
			}
			return all
		})
		for typ, body := range map[string]string{
			"SubscribeServiceRequest": subscribeBody, "ServiceQueryRequest": queryBody,
			"ConfigQueryRequest": `{"group":"G","dataId":"d"}`, "ConfigBatchListenRequest": listenBody(""),
		} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			p, err := c.try(ctx, typ, body)
			cancel()
			require.NoError(t, err)
			if !strings.Contains(hostile, "hosts") {
				assert.Equal(t, hostile, string(p.GetBody().GetValue()), typ)
			}
		}
		srv.Publish("G", "d", "other")
		got := []string{c.await().Type, c.await().Type}
		switch hostile {
		case "", "{", "[]":
			assert.Equal(t, []string{"unreadable", "unreadable"}, got)
		default:
			assert.ElementsMatch(t, []string{notify, "ConfigChangeNotifyRequest"}, got)
		}
		status, text := curl(t, http.MethodGet, srv.Addr(), "/nacos/v3/admin/core/state/readiness", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, hostile, text)
	}
}

func TestAnErrorMayBeRewrittenToo(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	const path = "/nacos/v3/client/cs/config"
	a := nacostest.Fail(503, "down").And(nacostest.Rewrite(func(body json.RawMessage) json.RawMessage {
		return json.RawMessage(strings.ReplaceAll(string(body), "down", "<html>"))
	}))
	srv.Intercept(func(nacostest.Request) nacostest.Action { return a })
	assert.Equal(t, "<html>", c.call("HealthCheckRequest", "{}").Body["message"])
	status, text := curl(t, http.MethodGet, srv.Addr(), path, "")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, text, "<html>")
}

func TestAPushComesSeveralTimes(t *testing.T) {
	srv := nacostest.Run(t)
	c := subscribed(t, srv)
	srv.Intercept(first(notify, nacostest.Times(3)))
	register(srv, 1)
	one, two, three := c.await(), c.await(), c.await()
	assert.Equal(t, []string{"10.0.0.1 v1"}, hostsOf(t, one))
	assert.Equal(t, one, two)
	assert.Equal(t, one, three)
	register(srv, 2)
	assert.Len(t, c.hosts(), 2, "the next one comes once")
	require.True(t, srv.Reset(srv.Connections()[0].ID, ""))
	assert.Equal(t, "ConnectResetRequest", c.await().Type)
}

func TestAPushIsOvertaken(t *testing.T) {
	srv := nacostest.Run(t)
	var pushes atomic.Int32
	c := subscribed(t, srv)
	after := []int{2, 1, 0, 1, 2, 0, 0}
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type != notify {
			return nacostest.Pass()
		}
		return nacostest.Overtaken(after[pushes.Add(1)-1])
	})
	for n := range after {
		register(srv, n)
		require.Eventually(t, func() bool { return int(pushes.Load()) == n+1 }, patience, time.Millisecond)
	}
	var lengths []int
	for range after {
		lengths = append(lengths, len(c.hosts()))
	}
	assert.Equal(t, []int{3, 2, 1, 6, 4, 7, 5}, lengths, "each says what was true at its time")
}

func TestAPushOfOneServiceOvertakesThatOfAnother(t *testing.T) {
	srv := nacostest.Run(t)
	held := make(chan struct{})
	hold := sync.OnceFunc(func() { close(held) })
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type != notify {
			return nacostest.Pass()
		}
		hold()
		return nacostest.Overtaken(1).And(nacostest.KeepHosts(1)).And(nacostest.Times(2))
	})
	register(srv, 1, 2)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	srv.Publish("G", "d", "1")
	c.call("ConfigBatchListenRequest", listenBody(""))
	<-held
	srv.Publish("G", "d", "2")
	assert.Equal(t, "ConfigChangeNotifyRequest", c.await().Type)
	assert.Equal(t, []string{"10.0.0.1 v1"}, c.hosts())
	assert.Equal(t, []string{"10.0.0.1 v1"}, c.hosts())
}

func TestALostPushIsNotRepeatedButADroppedOne(t *testing.T) {
	t.Parallel() // Nacos, and so the server, waits 6 s
	srv := nacostest.Run(t)
	c := subscribed(t, srv)
	c.call("SubscribeServiceRequest", strings.Replace(subscribeBody, `"user"`, `"dropped"`, 1))
	c.await()
	var losses, drops atomic.Int32
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		switch {
		case r.Type != notify:
		case !strings.Contains(string(r.Body), `"name":"dropped"`):
			losses.Add(1)
			return nacostest.Lose()
		case drops.Add(1) == 1:
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	register(srv, 1)
	require.Eventually(t, func() bool { return losses.Load() == 1 }, patience, time.Millisecond)
	srv.Register(registry.Service{Name: "dropped"}, nacostest.NewInstance("10.0.0.9", 80, nil))
	assert.Equal(t, []string{"10.0.0.9 "}, c.hosts(), "repeated after 6 s")
	require.True(t, srv.Reset(srv.Connections()[0].ID, ""))
	assert.Equal(t, "ConnectResetRequest", c.await().Type, "no other repetition was before it")
	assert.EqualValues(t, 2, drops.Load())
	assert.EqualValues(t, 1, losses.Load())
	assert.Len(t, hostsOf(t, c.call("ServiceQueryRequest", queryBody)), 1, "asking brings it to light")
}

func TestALostAnswerLeavesTheRequestProcessed(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Lose() })
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := c.try(ctx, "InstanceRequest", registerBody(`{"ip":"10.0.0.1","port":80}`))
		done <- err
	}()
	_, err := srv.AwaitInstances(t.Context(), user, 1)
	require.NoError(t, err)
	require.Never(t, func() bool { return len(done) > 0 }, hush, 10*time.Millisecond)
	cancel()
	require.ErrorContains(t, <-done, "Canceled")

	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+srv.Addr()+"/nacos/v3/client/ns/instance?serviceName=user&ip=10.0.0.2&port=80", http.NoBody)
		if err == nil {
			_, err = http.DefaultClient.Do(req) //nolint:bodyclose // there is no answer.
		}
		done <- err
	}()
	_, err = srv.AwaitInstances(t.Context(), user, 2)
	require.NoError(t, err)
	srv.Stop()
	require.ErrorContains(t, <-done, "EOF")
}

func TestALostSetupIsNone(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Intercept(on("ConnectionSetupRequest", nacostest.Lose()))
	connect(t, srv.GRPCAddr(), "naming")
}

func TestAndKeepsWhatTheOtherDoesNotSay(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	add := func(s string) nacostest.Action {
		return nacostest.Rewrite(func(b json.RawMessage) json.RawMessage { return append(b[:len(b)-1], s...) })
	}
	a := nacostest.Delay(20 * time.Millisecond).And(add(`,"a":1}`)).And(nacostest.Refuse(7, "no")).
		And(add(`,"b":2}`)).And(nacostest.Delay(30 * time.Millisecond)).And(nacostest.Pass())
	srv.Intercept(func(nacostest.Request) nacostest.Action { return a })
	started := time.Now()
	p, err := c.try(t.Context(), "ServiceListRequest", queryBody)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(started), 50*time.Millisecond)
	assert.Contains(t, string(p.GetBody().GetValue()), `"errorCode":7`)
	assert.Regexp(t, `,"a":1,"b":2\}$`, string(p.GetBody().GetValue()))
}
