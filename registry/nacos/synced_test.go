package nacos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

func TestConsoleEditIsReportedSoonAfterRegistration(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	c, f := newClient(t, srv.Addr())
	in := registry.NewInstance("10.0.0.1:80")
	in.Weight = 500
	start := time.Now()
	r, err := c.Register(t.Context(), user, in)
	require.NoError(t, err)
	require.NoError(t, r.Ready(within(t, patience)))
	require.True(t, srv.Edit(user, nacostest.NewInstance("10.0.0.1", 80, nil)))
	require.Eventually(t, func() bool {
		return f.count("weight is 1, registered 0.5; likely a console edit that named no weight") == 1
	},
		patience, time.Millisecond)
	assert.GreaterOrEqual(t, time.Since(start), 1900*time.Millisecond, "answers lag")
	assert.Less(t, time.Since(start), 10*time.Second)
	assert.Equal(t, registry.Registered, r.State(), "it is a warning")
}

func TestSyncedIsWhenTheServerConfirmedTheListLast(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	_, ok := c.Synced(registry.Service{Name: "a b"})
	assert.False(t, ok)
	_, ok = c.Synced(user)
	assert.False(t, ok)
	updates := watch(t, c, user)
	await(t, updates, "the empty list", has(0))
	subscribed, ok := c.Synced(user)
	assert.True(t, ok)
	assert.WithinDuration(t, time.Now(), subscribed, time.Second)

	srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	await(t, updates, "the push", has(1))
	pushed, _ := c.Synced(user)
	assert.True(t, pushed.After(subscribed))
	// Nothing changes any more, and that is confirmed.
	require.Eventually(t, func() bool {
		at, _ := c.Synced(user)
		return at.Sub(pushed) > 5*time.Second
	}, 15*time.Second, 10*time.Millisecond)
	assert.Empty(t, updates)
}

func TestUnusableInstanceIsReportedEvenIfTheListStaysTheSame(t *testing.T) {
	srv := nacostest.Run(t)
	c, f := newClient(t, srv.Addr())
	srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	updates := watch(t, c, user)
	await(t, updates, "the good one", has(1))
	srv.Register(user, nacostest.NewInstance("169.254.169.254", 80, nil))
	require.Eventually(t, func() bool { return f.count("169.254.169.254 is link-local") == 1 }, patience, time.Millisecond)
	srv.Register(user, nacostest.NewInstance("10.0.0.2", 80, nil))
	u := await(t, updates, "the next good one", has(2))
	assert.NotContains(t, u.Instances[0].Addr+u.Instances[1].Addr, "169.254")
	srv.Register(user, nacostest.NewInstance("127.0.0.1", 80, nil))
	await(t, updates, "the server is on loopback too", has(3))
	assert.Equal(t, 1, f.count("left out"), "once")
}

func TestReconcileThatFailsIsRepeatedSoon(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	updates := watch(t, c, user)
	await(t, updates, "the empty list", has(0))
	refused := make(chan time.Time, 1)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		switch r.Type {
		case "NotifySubscriberRequest":
			return nacostest.Drop()
		case "ServiceQueryRequest":
			select {
			case refused <- time.Now():
				return nacostest.Refuse(500, "not now")
			default:
			}
		}
		return nacostest.Pass()
	})
	srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	u := awaitFor(t, updates, 20*time.Second)
	assert.Equal(t, registry.Reconciled, u.Origin)
	assert.Less(t, u.At.Sub(<-refused), 5*time.Second, "long before the next round")
}
