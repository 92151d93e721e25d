package nacos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// TestASilenceOfAllServersChangesNoList: providers start elsewhere meanwhile, and are known
// soon after it.
func TestASilenceOfAllServersChangesNoList(t *testing.T) { // F19
	t.Parallel()
	srv := nacostest.Run(t)
	consumer, _ := newClient(t, srv.Addr())
	provider, _ := newClient(t, srv.Addr())
	_, err := provider.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	updates := watch(t, consumer, user)
	await(t, updates, "the first", has(1))
	srv.Silence()
	again, _ := newClient(t, srv.Addr())
	r, err := again.Register(t.Context(), user, registry.NewInstance("10.0.0.2:80"))
	require.NoError(t, err)
	select {
	case u := <-updates:
		require.Fail(t, "the list has changed", "%+v", u)
	case <-time.After(9 * time.Second): // the connections are found dead meanwhile
	}
	srv.Resume()
	start := time.Now()
	require.NoError(t, r.Ready(within(t, patience)))
	await(t, updates, "both", has(2))
	took := time.Since(start)
	assert.Less(t, took, 8*time.Second)
	t.Logf("FIGURE F19: a provider that started in a silence of 9 s is known %s after it", took.Round(time.Millisecond))
}

// TestConsumersThatAreToldDifferentListsConverge: one of two hears of a part alone, as from
// a node that is cut off; then the node is healed, which nobody is told of.
func TestConsumersThatAreToldDifferentListsConverge(t *testing.T) { // F14
	t.Parallel()
	srv := nacostest.Run(t)
	cut, _ := newClient(t, srv.Addr())
	cutOff := watch(t, cut, user)
	await(t, cutOff, "the empty list", has(0))
	of := srv.Connections()[0].ID
	whole, _ := newClient(t, srv.Addr())
	updates := watch(t, whole, user)
	await(t, updates, "the empty list", has(0))
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.ConnectionID == of {
			return nacostest.KeepHosts(1)
		}
		return nacostest.Pass()
	})
	for _, ip := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		srv.Register(user, nacostest.NewInstance(ip, 80, nil))
	}
	await(t, updates, "all", has(3))
	await(t, cutOff, "one", has(1))
	srv.Intercept(nil)
	start := time.Now()
	u := awaitFor(t, cutOff, 25*time.Second)
	assert.Len(t, u.Instances, 3)
	assert.Less(t, time.Since(start), 20*time.Second)
}
