package suite

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

// Registry runs the registry's part against the server whose HTTP API is at addr.
func Registry(t *testing.T, addr string) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *registrynacos.Client, *registrynacos.Client)
	}{
		{"an unknown service is an empty list", unknownService},
		{"an instance appears, changes and goes", instanceLife},
		{"several instances of one process come and go alone", severalInstances},
		{"a disabled instance is not listed", disabledInstance},
		{"every watcher of a service gets its own copy", twoWatchers},
		{"what a closed client registered is gone", clientGone},
		{"register to subscriber", registerFigures},
	} {
		t.Run(c.name, func(t *testing.T) {
			provider, consumer := client(t, addr), client(t, addr)
			c.run(t, provider, consumer)
		})
	}
}

func client(t *testing.T, addr string) *registrynacos.Client {
	t.Helper()
	c, err := registrynacos.New(registrynacos.Config{Servers: []string{addr}},
		registrynacos.WithOnError(func(s registry.Service, err error) { t.Logf("%v: %v", s, err) }))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	require.NoError(t, c.Ready(within(t)))
	return c
}

func watchService(t *testing.T, c *registrynacos.Client, s registry.Service) *log[registry.Update] {
	t.Helper()
	return watch(t, func(ctx context.Context, fn func(registry.Update)) error { return c.Watch(ctx, s, fn) })
}

func register(t *testing.T, c *registrynacos.Client, s registry.Service, in registry.Instance) registry.Registration {
	t.Helper()
	r, err := c.Register(within(t), s, in)
	require.NoError(t, err)
	require.NoError(t, r.Ready(within(t)))
	assert.Equal(t, registry.Registered, r.State())
	return r
}

func labelled(addr, version string) registry.Instance {
	in := registry.NewInstance(addr)
	in.Metadata = map[string]string{registry.KeyVersion: version}
	return in
}

// versions is what is listed: the version of each ID.
func versions(u registry.Update) map[string]string {
	m := make(map[string]string)
	for i := range u.Instances {
		m[u.Instances[i].ID] = u.Instances[i].Version()
	}
	return m
}

func lists(want map[string]string) func(registry.Update) bool {
	return func(u registry.Update) bool { return assert.ObjectsAreEqual(want, versions(u)) }
}

func none(u registry.Update) bool { return len(u.Instances) == 0 }

func unknownService(t *testing.T, _, consumer *registrynacos.Client) {
	t.Helper()
	updates := watchService(t, consumer, registry.Service{Name: unique("unknown")})
	updates.await(t, "the empty list", none)
}

func instanceLife(t *testing.T, provider, consumer *registrynacos.Client) {
	t.Helper()
	s := registry.Service{Name: unique("life"), Group: "G1"}
	updates := watchService(t, consumer, s)
	updates.await(t, "the empty list", none)

	in := labelled("10.1.2.3:80", "v1")
	in.Cluster, in.Weight = "c1", 2500
	r := register(t, provider, s, in)
	got := updates.await(t, "the instance", lists(map[string]string{"10.1.2.3:80#c1": "v1"})).Instances[0]
	in.ID = "10.1.2.3:80#c1"
	assert.Equal(t, in, got)
	assert.Equal(t, in, r.Instance())

	in.Weight, in.Metadata = 0, map[string]string{"version": "v2", "zone": "z"}
	require.NoError(t, r.Update(within(t), in))
	got = updates.await(t, "its change", lists(map[string]string{"10.1.2.3:80#c1": "v2"})).Instances[0]
	assert.Equal(t, in, got)

	require.NoError(t, r.Close(within(t)))
	updates.await(t, "its end", none)
	assert.Equal(t, registry.Closed, r.State())
	require.NoError(t, r.Close(within(t)), "closing again")
}

func severalInstances(t *testing.T, provider, consumer *registrynacos.Client) {
	t.Helper()
	s := registry.Service{Name: unique("several")}
	updates := watchService(t, consumer, s)
	a := register(t, provider, s, labelled("10.0.0.1:80", "v1"))
	b := register(t, provider, s, labelled("10.0.0.2:80", "v1"))
	c := register(t, provider, s, labelled("[::1]:80", "v2"))
	updates.await(t, "all three", lists(map[string]string{
		"10.0.0.1:80#DEFAULT": "v1", "10.0.0.2:80#DEFAULT": "v1", "[::1]:80#DEFAULT": "v2",
	}))
	require.NoError(t, b.Update(within(t), labelled("", "v3")))
	require.NoError(t, a.Close(within(t)))
	updates.await(t, "two, one changed", lists(map[string]string{"10.0.0.2:80#DEFAULT": "v3", "[::1]:80#DEFAULT": "v2"}))
	require.NoError(t, c.Close(within(t)))
	require.NoError(t, b.Close(within(t)))
	updates.await(t, "none", none)
	register(t, provider, s, labelled("10.0.0.1:80", "v4"))
	updates.await(t, "the first again", lists(map[string]string{"10.0.0.1:80#DEFAULT": "v4"}))
}

func disabledInstance(t *testing.T, provider, consumer *registrynacos.Client) {
	t.Helper()
	s := registry.Service{Name: unique("disabled")}
	updates := watchService(t, consumer, s)
	in := labelled("10.0.0.1:80", "v1")
	r := register(t, provider, s, in)
	updates.await(t, "the instance", lists(map[string]string{"10.0.0.1:80#DEFAULT": "v1"}))
	in.Enabled = false
	require.NoError(t, r.Update(within(t), in))
	updates.await(t, "none", none)
}

func twoWatchers(t *testing.T, provider, consumer *registrynacos.Client) {
	t.Helper()
	s := registry.Service{Name: unique("watchers")}
	one := watchService(t, consumer, s)
	one.await(t, "the empty list", none)
	short, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- consumer.Watch(short, s, func(registry.Update) {}) }()
	two := watchService(t, consumer, s)
	two.await(t, "the empty list", none)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)

	register(t, provider, s, labelled("10.0.0.1:80", "v1"))
	want := lists(map[string]string{"10.0.0.1:80#DEFAULT": "v1"})
	a, b := one.await(t, "the instance", want), two.await(t, "the instance", want)
	a.Instances[0].Metadata["version"] = "mine"
	assert.Equal(t, "v1", b.Instances[0].Version())
	three := watchService(t, consumer, s)
	three.await(t, "what is known", want)
}

func clientGone(t *testing.T, provider, consumer *registrynacos.Client) {
	t.Helper()
	s := registry.Service{Name: unique("gone")}
	updates := watchService(t, consumer, s)
	r := register(t, provider, s, labelled("10.0.0.1:80", "v1"))
	updates.await(t, "the instance", lists(map[string]string{"10.0.0.1:80#DEFAULT": "v1"}))
	require.NoError(t, provider.Close())
	updates.await(t, "none", none)
	_, err := provider.Register(within(t), s, labelled("10.0.0.1:80", "v1"))
	require.ErrorIs(t, err, registry.ErrClosed)
	require.ErrorIs(t, provider.Watch(within(t), s, func(registry.Update) {}), registry.ErrClosed)
	require.ErrorIs(t, provider.Ready(within(t)), registry.ErrClosed)
	assert.Equal(t, registry.Closed, r.State())
}

func registerFigures(t *testing.T, provider, consumer *registrynacos.Client) {
	t.Helper()
	const rounds = 10
	var calls, seen []time.Duration
	for range rounds {
		s := registry.Service{Name: unique("figures")}
		updates := watchService(t, consumer, s)
		updates.await(t, "the empty list", none)
		start := time.Now()
		register(t, provider, s, labelled("10.0.0.1:80", "v1"))
		calls = append(calls, time.Since(start))
		updates.await(t, "the instance", func(u registry.Update) bool { return len(u.Instances) == 1 })
		seen = append(seen, time.Since(start))
	}
	figures(t, "register to accepted", calls)
	figures(t, "register to subscriber", seen)
}
