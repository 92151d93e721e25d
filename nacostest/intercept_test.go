package nacostest_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
)

// on applies an action to one type of message.
func on(typ string, a nacostest.Action) func(nacostest.Request) nacostest.Action {
	return func(r nacostest.Request) nacostest.Action {
		if r.Type == typ {
			return a
		}
		return nacostest.Pass()
	}
}

func TestInterceptSeesEachMessage(t *testing.T) {
	srv := nacostest.Run(t)
	var mu sync.Mutex
	var seen []nacostest.Request
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r)
		return nacostest.Pass()
	})
	c := connect(t, srv.GRPCAddr(), "naming")
	c.register("10.0.0.1", "v1")
	curl(t, http.MethodGet, srv.Addr(), "/nacos/v3/admin/core/state/readiness", "")
	srv.Intercept(nil)
	c.call("HealthCheckRequest", "{}")
	id := srv.Connections()[0].ID

	mu.Lock()
	defer mu.Unlock()
	require.Len(t, seen, 4)
	assert.Equal(t, "ConnectionSetupRequest", seen[0].Type)
	assert.Equal(t, "SetupAckRequest", seen[1].Type)
	assert.True(t, seen[1].Push)
	assert.Equal(t, "InstanceRequest", seen[2].Type)
	assert.Equal(t, "naming", seen[2].Module)
	assert.Equal(t, id, seen[2].ConnectionID)
	assert.Contains(t, string(seen[2].Body), `"ip":"10.0.0.1"`)
	assert.Equal(t, "GET /nacos/v3/admin/core/state/readiness", seen[3].Type)
}

func TestFailedAndRefusedRequestsAreNotProcessed(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	body := registerBody(`{"ip":"10.0.0.1","port":80}`)

	srv.Intercept(on("InstanceRequest", nacostest.Fail(403, "no right")))
	m := c.call("InstanceRequest", body)
	assert.Equal(t, "ErrorResponse", m.Type)
	assert.InDelta(t, 403, m.Body["errorCode"], 0)
	assert.Equal(t, "no right", m.Body["message"])

	srv.Intercept(on("InstanceRequest", nacostest.Refuse(500, "not now")))
	m = c.call("InstanceRequest", body)
	assert.Equal(t, "InstanceResponse", m.Type)
	assert.Equal(t, false, m.Body["success"])
	assert.Empty(t, srv.Instances(user))

	srv.Intercept(on("ServerCheckRequest", nacostest.Refuse(300, "starting")))
	assert.Equal(t, "ErrorResponse", c.call("ServerCheckRequest", "{}").Type)
}

func TestADroppedRequestIsNeverAnswered(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	srv.Intercept(on("InstanceRequest", nacostest.Drop()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.try(ctx, "InstanceRequest", registerBody(`{"ip":"10.0.0.1","port":80}`))
	require.ErrorContains(t, err, "DeadlineExceeded")
	assert.Empty(t, srv.Instances(user))
	assert.Equal(t, "HealthCheckResponse", c.call("HealthCheckRequest", "{}").Type, "others are answered")
}

func TestADelayedRequestIsProcessedLate(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	srv.Intercept(on("InstanceRequest", nacostest.Delay(50*time.Millisecond)))
	started := time.Now()
	c.register("10.0.0.1", "v1")
	assert.GreaterOrEqual(t, time.Since(started), 50*time.Millisecond)
	assert.Len(t, srv.Instances(user), 1)
}

func TestADroppedPushDoesNotArrive(t *testing.T) {
	srv := nacostest.Run(t)
	dropped := make(chan struct{}, 10)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "NotifySubscriberRequest" {
			dropped <- struct{}{}
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	<-dropped
	srv.Intercept(nil)
	c.register("10.0.0.1", "v1")
	assert.Equal(t, []string{"10.0.0.1 v1"}, c.hosts(), "the empty list before it was dropped")
}

func TestALostReplyHasThePushRepeated(t *testing.T) {
	t.Parallel() // Nacos, and so the server, waits 6 s
	srv := nacostest.Run(t)
	lost := make(chan nacostest.Request, 10)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Reply && r.Type == "NotifySubscriberResponse" && len(lost) == 0 {
			lost <- r
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	first := c.await()
	assert.Contains(t, string((<-lost).Body), first.Body["requestId"], "the reply names the push")
	again := c.await()
	assert.Equal(t, first.Type, again.Type)
	assert.NotEqual(t, first.Body["requestId"], again.Body["requestId"])
}

func TestAFailedSetupBreaksTheConnection(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Intercept(on("ConnectionSetupRequest", nacostest.Fail(0, "no")))
	c := dial(t, srv.GRPCAddr())
	c.setup(`{"labels":{"module":"naming"},"abilityTable":{}}`)
	require.Error(t, <-c.pushesClosed())
	assert.Empty(t, srv.Connections())
}

func TestHTTPFailsToo(t *testing.T) {
	srv := nacostest.Run(t)
	const path = "/nacos/v3/admin/core/state/readiness"
	for code, want := range map[int]int{403: 403, 30000: 500} {
		srv.Intercept(on("GET "+path, nacostest.Fail(code, "no right")))
		status, body := curl(t, http.MethodGet, srv.Addr(), path, "")
		assert.Equal(t, want, status)
		assert.Contains(t, body, "no right")
	}
}
