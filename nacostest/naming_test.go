package nacostest_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

func TestInstancesGoWithTheirConnection(t *testing.T) {
	srv := nacostest.Run(t)
	consumer := connect(t, srv.GRPCAddr(), "naming")
	consumer.call("SubscribeServiceRequest", subscribeBody)
	require.Empty(t, consumer.hosts())

	provider := connect(t, srv.GRPCAddr(), "naming")
	provider.register("10.0.0.1", "v1")
	require.Equal(t, []string{"10.0.0.1 v1"}, consumer.hosts())

	provider.close()
	require.Empty(t, consumer.hosts(), "the last one gone is an empty list")
}

func TestSubscriptionsGoWithTheirConnection(t *testing.T) {
	srv := nacostest.Run(t)
	var pushes []string
	consumer := connect(t, srv.GRPCAddr(), "naming")
	consumer.call("SubscribeServiceRequest", subscribeBody)
	consumer.await()
	consumer.close()
	require.Eventually(t, func() bool { return len(srv.Connections()) == 0 }, patience, time.Millisecond)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Push {
			pushes = append(pushes, r.Type)
		}
		return nacostest.Pass()
	})
	// Another connection sees the change, and it is the only one.
	other := connect(t, srv.GRPCAddr(), "naming")
	other.register("10.0.0.1", "v1")
	other.call("SubscribeServiceRequest", subscribeBody)
	require.Equal(t, []string{"10.0.0.1 v1"}, other.hosts())
	srv.Stop()
	assert.Equal(t, []string{"SetupAckRequest", "NotifySubscriberRequest"}, pushes)
}

func TestUnsubscribingEndsThePushes(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	c.await()
	c.call("SubscribeServiceRequest", `{`+svcBody+`,"subscribe":false}`)
	c.register("10.0.0.1", "v1")
	c.call("SubscribeServiceRequest", `{"namespace":"public","groupName":"G","serviceName":"other","subscribe":true}`)
	m := c.await()
	assert.Equal(t, "other", m.Body["serviceInfo"].(map[string]any)["name"])
}

func TestTheSameAddressFromTwoConnections(t *testing.T) {
	srv := nacostest.Run(t)
	a, b := connect(t, srv.GRPCAddr(), "naming"), connect(t, srv.GRPCAddr(), "naming")
	a.register("10.0.0.1", "v1")
	b.register("10.0.0.1", "v1")
	assert.Len(t, srv.Instances(user), 1, "equal ones are one")
	a.register("10.0.0.1", "v2")
	list := srv.Instances(user)
	require.Len(t, list, 2)
	assert.Equal(t, list[0].ID(), list[1].ID())
	assert.Equal(t, "v2", list[1].Metadata["version"], "the later registration is the later in the list")
	a.close()
	list, err := srv.AwaitInstances(t.Context(), user, 1)
	require.NoError(t, err)
	assert.Equal(t, "v1", list[0].Metadata["version"])
}

func TestChangesWithinTheDelayAreOnePush(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithPushDelay(3*time.Second))
	c := connect(t, srv.GRPCAddr(), "naming")
	started := time.Now()
	c.call("SubscribeServiceRequest", subscribeBody)
	for i := range 50 {
		c.register("10.0.0.1", fmt.Sprint("v", i))
	}
	require.Less(t, time.Since(started), 3*time.Second, "the machine is too slow for this test")
	assert.Equal(t, []string{"10.0.0.1 v49"}, c.hosts())
	assert.GreaterOrEqual(t, time.Since(started), 2900*time.Millisecond)
	c.register("10.0.0.1", "last")
	assert.Equal(t, []string{"10.0.0.1 last"}, c.hosts(), "nothing came between")
}

func TestNamespacesAreApart(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.register("10.0.0.1", "v1")
	for _, namespace := range []string{"", "other"} {
		m := c.call("ServiceQueryRequest", `{"namespace":"`+namespace+`","groupName":"DEFAULT_GROUP","serviceName":"user"}`)
		assert.Empty(t, hostsOf(t, m), "namespace %q", namespace)
	}
	assert.Equal(t, []string{"10.0.0.1 v1"}, hostsOf(t, c.call("ServiceQueryRequest", queryBody)))
	assert.Empty(t, srv.Instances(registry.Service{Namespace: "other", Name: "user"}))
}

func TestServicesAreListedInPages(t *testing.T) {
	srv := nacostest.Run(t)
	for _, name := range []string{"c", "a", "b"} {
		srv.Register(registry.Service{Name: name}, nacostest.NewInstance("10.0.0.1", 1, nil))
	}
	c := connect(t, srv.GRPCAddr(), "naming")
	for page, want := range map[int][]any{1: {"a", "b"}, 2: {"c"}, 3: {}, -1: {"a", "b"}} {
		m := c.call("ServiceListRequest", fmt.Sprintf(`{"namespace":"public","groupName":"DEFAULT_GROUP","pageNo":%d,"pageSize":2}`, page))
		assert.Equal(t, want, m.Body["serviceNames"], "page %d", page)
		assert.InDelta(t, 3, m.Body["count"], 0)
	}
}

func TestTheBackDoorIsSeenByClients(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	require.Empty(t, c.hosts())

	in := nacostest.NewInstance("10.0.0.1", 80, map[string]string{"version": "v1"})
	assert.False(t, srv.Edit(user, in), "no such service yet")
	srv.Register(user, in)
	require.Equal(t, []string{"10.0.0.1 v1"}, c.hosts())

	in.Metadata = map[string]string{"version": "v2"}
	require.True(t, srv.Edit(user, in))
	require.Equal(t, []string{"10.0.0.1 v2"}, c.hosts())

	in.Enabled = false
	require.True(t, srv.Edit(user, in))
	require.Empty(t, c.hosts(), "disabled ones are not pushed")
	require.Len(t, srv.Instances(user), 1, "but they are there")

	srv.Deregister(user, in)
	require.Empty(t, c.hosts())
	assert.Empty(t, srv.Instances(user))
}

func TestInstancesAreCopies(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, map[string]string{"version": "v1"}))
	srv.Instances(user)[0].Metadata["version"] = "changed"
	assert.Equal(t, "v1", srv.Instances(user)[0].Metadata["version"])
}

func TestAwaitInstancesWaitsAndGivesUp(t *testing.T) {
	srv := nacostest.Run(t)
	list, err := srv.AwaitInstances(t.Context(), user, 0)
	require.NoError(t, err)
	assert.Empty(t, list)

	got := make(chan error, 1)
	go func() {
		_, err := srv.AwaitInstances(t.Context(), user, 3)
		got <- err
	}()
	for i := range 3 {
		srv.Register(user, nacostest.NewInstance("10.0.0.1", 80+i, nil))
	}
	require.NoError(t, <-got)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = srv.AwaitInstances(ctx, user, 4)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "has 3 instances, want 4")
}

func TestOperatorsFormsOverHTTP(t *testing.T) {
	srv := nacostest.Run(t)
	path := "/nacos/v3/client/ns/instance"
	base := []string{"serviceName", "user", "ip", "10.0.0.1", "port", "80"}
	for name, more := range map[string][]string{
		"weight":   {"weight", "x"},
		"enabled":  {"enabled", "x"},
		"metadata": {"metadata", "{x"},
	} {
		status, body := curl(t, http.MethodPost, srv.Addr(), path, form(append(base, more...)...))
		assert.Equal(t, http.StatusInternalServerError, status, name)
		assert.Contains(t, body, `"code":30000`)
	}
	assert.Empty(t, srv.Instances(user))
	status, _ := curl(t, http.MethodPost, srv.Addr(), path, form(append(base, "namespaceId", "other", "groupName", "G")...))
	require.Equal(t, http.StatusOK, status)
	assert.Len(t, srv.Instances(registry.Service{Namespace: "other", Group: "G", Name: "user"}), 1)
}
