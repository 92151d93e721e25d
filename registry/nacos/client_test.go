package nacos_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

var user = registry.Service{Name: "user"}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// failures collects what OnError is told.
type failures struct {
	mu   sync.Mutex
	text []string
}

func (f *failures) add(s registry.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = append(f.text, s.Name+": "+err.Error())
}

func (f *failures) count(part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, text := range f.text {
		if strings.Contains(text, part) {
			n++
		}
	}
	return n
}

func newClient(t *testing.T, addr string) (*registrynacos.Client, *failures) {
	t.Helper()
	f := &failures{}
	c, err := registrynacos.New(registrynacos.Config{Servers: []string{addr}}, registrynacos.WithOnError(f.add))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, f
}

// watch reports the lists of a service until the test ends.
func watch(t *testing.T, c *registrynacos.Client, s registry.Service) <-chan registry.Update {
	t.Helper()
	updates := make(chan registry.Update, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { assert.Error(t, c.Watch(ctx, s, func(u registry.Update) { updates <- u })) })
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return updates
}

func await(t *testing.T, updates <-chan registry.Update, what string, wanted func(registry.Update) bool) registry.Update {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case u := <-updates:
			if wanted(u) {
				return u
			}
		case <-late:
			require.FailNow(t, "never reported: "+what)
		}
	}
}

func has(n int) func(registry.Update) bool {
	return func(u registry.Update) bool { return len(u.Instances) == n }
}

func awaitServer(t *testing.T, srv *nacostest.Server, n int) []nacostest.Instance {
	t.Helper()
	list, err := srv.AwaitInstances(within(t, patience), user, n)
	require.NoError(t, err)
	return list
}

func drop(types ...string) func(nacostest.Request) nacostest.Action {
	return func(r nacostest.Request) nacostest.Action {
		if slices.Contains(types, r.Type) {
			return nacostest.Drop()
		}
		return nacostest.Pass()
	}
}

func TestConfigAndNamesAreChecked(t *testing.T) {
	_, err := registrynacos.New(registrynacos.Config{})
	require.ErrorContains(t, err, "nacos servers: want 1 to 64")

	c, _ := newClient(t, nacostest.Run(t).Addr())
	nobody := func(registry.Update) { assert.Fail(t, "called") }
	require.ErrorIs(t, c.Watch(t.Context(), registry.Service{}, nobody), registry.ErrInvalid)
	require.ErrorIs(t, c.Watch(t.Context(), registry.Service{Name: "a b"}, nobody), registry.ErrInvalid)
	err = c.Watch(t.Context(), registry.Service{Namespace: "dev", Name: "user"}, nobody)
	require.ErrorIs(t, err, registry.ErrInvalid)
	require.ErrorContains(t, err, `not in namespace "public"`)

	_, err = c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:0"))
	require.ErrorIs(t, err, registry.ErrInvalid)
	in := registry.NewInstance("10.0.0.1:80")
	in.Metadata = map[string]string{"k": strings.Repeat("x", registry.MaxMetadata)}
	_, err = c.Register(t.Context(), user, in)
	require.ErrorIs(t, err, registry.ErrInvalid)

	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	require.ErrorIs(t, r.Update(t.Context(), in), registry.ErrInvalid)
	_, err = c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.ErrorIs(t, err, registry.ErrInvalid, "twice the same")
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = c.Register(ended, user, registry.NewInstance("10.0.0.2:80"))
	require.ErrorIs(t, err, context.Canceled)
}

func TestNumberOfInstancesIsBounded(t *testing.T) {
	c, _ := newClient(t, "127.0.0.1:1")
	for i := range registrynacos.MaxInstances {
		in := registry.NewInstance("10.0.0.1:80")
		in.Cluster = "c" + strings.Repeat("x", i)
		_, err := c.Register(t.Context(), user, in)
		require.NoError(t, err)
	}
	_, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.2:80"))
	require.ErrorIs(t, err, registry.ErrInvalid)
}

func TestRegistrationWaitsForAServerAndSaysWhy(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Stop()
	c, f := newClient(t, srv.Addr())
	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	assert.Equal(t, registry.Pending, r.State())
	require.Eventually(t, func() bool { return f.count("connection refused") > 0 }, patience, time.Millisecond)
	err = r.Ready(within(t, 10*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "10.0.0.1:80#DEFAULT of public/DEFAULT_GROUP/user: nacos "+srv.GRPCAddr()+": connection refused")
	require.NoError(t, srv.Restart(nacostest.WipeData))
	require.NoError(t, r.Ready(within(t, patience)))
	assert.Equal(t, registry.Registered, r.State())
	awaitServer(t, srv, 1)
}

func TestRefusedRegistrationIsRepeatedAndSaysWhy(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "InstanceRequest" {
			return nacostest.Refuse(500, "not now")
		}
		return nacostest.Pass()
	})
	c, f := newClient(t, srv.Addr())
	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.count("not now") > 1 }, patience, time.Millisecond)
	require.ErrorContains(t, r.Ready(within(t, time.Millisecond)), "InstanceRequest refused: not now")
	srv.Intercept(nil)
	require.NoError(t, r.Ready(within(t, patience)))
}

func TestEverythingIsBackAfterTheServerLostItsData(t *testing.T) {
	for name, data := range map[string]nacostest.Data{"kept": nacostest.KeepData, "wiped": nacostest.WipeData} {
		t.Run(name, func(t *testing.T) {
			srv := nacostest.Run(t)
			provider, _ := newClient(t, srv.Addr())
			consumer, _ := newClient(t, srv.Addr())
			updates := watch(t, consumer, user)
			var all []registry.Registration
			for _, addr := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
				r, err := provider.Register(t.Context(), user, registry.NewInstance(addr))
				require.NoError(t, err)
				require.NoError(t, r.Ready(within(t, patience)))
				all = append(all, r)
			}
			await(t, updates, "both", has(2))
			srv.Stop()
			require.Eventually(t, func() bool { return all[0].State() == registry.Pending }, patience, time.Millisecond)
			require.NoError(t, srv.Restart(data))
			for _, r := range all {
				require.NoError(t, r.Ready(within(t, patience)))
			}
			awaitServer(t, srv, 2)
			srv.Register(user, nacostest.NewInstance("10.0.0.3", 80, nil))
			await(t, updates, "the third: the subscription is back", has(3))
		})
	}
}

func TestCloseOfARegistrationWithdrawsItOrEndsWithItsContext(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	require.NoError(t, r.Ready(within(t, patience)))
	var withdrawn atomic.Int64
	srv.Intercept(func(q nacostest.Request) nacostest.Action {
		if q.Type == "InstanceRequest" && strings.Contains(string(q.Body), `"deregisterInstance"`) && withdrawn.Add(1) == 1 {
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	require.ErrorIs(t, r.Close(within(t, 50*time.Millisecond)), context.DeadlineExceeded)
	assert.Equal(t, registry.Closed, r.State())
	require.NoError(t, r.Close(within(t, patience)), "it goes on until the server confirms")
	assert.EqualValues(t, 2, withdrawn.Load())
	assert.Empty(t, srv.Instances(user))
	require.ErrorIs(t, r.Update(t.Context(), registry.NewInstance("")), registry.ErrClosed)
	require.ErrorIs(t, r.Ready(t.Context()), registry.ErrClosed)
	assert.Len(t, srv.Connections(), 1)
}

func TestCloseOfARegistrationWithoutAConnectionHasNothingToWait(t *testing.T) {
	c, _ := newClient(t, "127.0.0.1:1")
	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	require.NoError(t, r.Close(within(t, patience)))
}

func TestUnusableInstancesAreLeftOutAndReportedOnce(t *testing.T) {
	srv := nacostest.Run(t)
	c, f := newClient(t, srv.Addr())
	for _, in := range []nacostest.Instance{
		nacostest.NewInstance("10.0.0.1", 80, nil),
		nacostest.NewInstance("some-host", 80, nil),
		nacostest.NewInstance("0.0.0.0", 80, nil),
		nacostest.NewInstance("10.0.0.2", 0, nil),
		nacostest.NewInstance("10.0.0.3", 65536, nil),
	} {
		srv.Register(user, in)
	}
	updates := watch(t, c, user)
	u := await(t, updates, "the good one", has(1))
	assert.Equal(t, "10.0.0.1:80#DEFAULT", u.Instances[0].ID)
	srv.Register(registry.Service{Name: "other"}, nacostest.NewInstance("some-host", 80, nil))
	await(t, watch(t, c, registry.Service{Name: "other"}), "the empty list", has(0))
	assert.Equal(t, 1, f.count("4 instances left out"))
	assert.Equal(t, 1, f.count("nacos: 1 instances left out"))
}

func TestWeightsAreConverted(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	updates := watch(t, c, user)
	for nacosWeight, want := range map[float64]uint32{0: 0, 0.0001: 1, 0.5: 500, 1: 1000, 1e300: registry.MaxWeight} {
		in := nacostest.NewInstance("10.0.0.1", 80, nil)
		in.Weight = nacosWeight
		srv.Register(user, in)
		await(t, updates, "the weight", func(u registry.Update) bool {
			return len(u.Instances) == 1 && u.Instances[0].Weight == want
		})
	}
}

func TestLostPushIsFoundByReconciling(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	updates := watch(t, c, user)
	await(t, updates, "the empty list", has(0))
	srv.Intercept(drop("NotifySubscriberRequest"))
	srv.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	start := time.Now()
	u := awaitFor(t, updates, 25*time.Second)
	assert.Equal(t, registry.Reconciled, u.Origin)
	assert.Less(t, time.Since(start), 20*time.Second)
}

func awaitFor(t *testing.T, updates <-chan registry.Update, d time.Duration) registry.Update {
	t.Helper()
	select {
	case u := <-updates:
		return u
	case <-time.After(d):
		require.FailNow(t, "no update")
		return registry.Update{}
	}
}

func TestUnwatchedServiceIsUnsubscribed(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	var off atomic.Int64
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		var body struct{ Subscribe bool }
		if r.Type == "SubscribeServiceRequest" && json.Unmarshal(r.Body, &body) == nil && !body.Subscribe {
			off.Add(1)
		}
		return nacostest.Pass()
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, user, func(registry.Update) { close(first) }) }()
	<-first
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Eventually(t, func() bool { return off.Load() == 1 }, patience, time.Millisecond)
}

func TestCloseWithAHungServerIsQuick(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	require.NoError(t, r.Ready(within(t, patience)))
	await(t, watch(t, c, user), "the instance", has(1))
	srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() })
	updating := make(chan error, 1)
	go func() { updating <- r.Update(context.WithoutCancel(t.Context()), registry.NewInstance("")) }()
	closing := make(chan error, 1)
	go func() {
		closing <- c.Watch(context.WithoutCancel(t.Context()), registry.Service{Name: "new"}, func(registry.Update) {})
	}()
	start := time.Now()
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	assert.Less(t, time.Since(start), time.Second)
	require.ErrorIs(t, <-updating, registry.ErrClosed)
	require.ErrorIs(t, <-closing, registry.ErrClosed)
}

func TestServicesAreAnnouncedIndependently(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "InstanceRequest" && strings.Contains(string(r.Body), `"serviceName":"slow"`) {
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	_, err := c.Register(t.Context(), registry.Service{Name: "slow"}, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	r, err := c.Register(t.Context(), user, registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	require.NoError(t, r.Ready(within(t, 2900*time.Millisecond)), "before the request of the slow one ends")
}
