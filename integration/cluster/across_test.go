package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

func TestRulesOfOneNodeReachConsumersOfAnother(t *testing.T) {
	const publications = 50
	c := shared.start(t)
	operator, consumer := documents(t, c.Addrs()[:1]), documents(t, c.Addrs()[1:2])
	service := unique("rules")
	id := config.ServiceDocID(service)
	docs := watch(t, func(ctx context.Context, fn func(config.Doc)) error { return consumer.Watch(ctx, id, fn) })

	took := map[string][]time.Duration{}
	for i := range publications {
		for way, publish := range map[string]func(text string){
			"Publisher":         func(text string) { require.NoError(t, operator.Publish(within(t), id, []byte(text), "")) },
			"console's request": func(text string) { admin{t, c.Nodes[0]}.publish(service, text) },
		} {
			text := fmt.Sprintf("gray: v1\ndefault: v%d\n# by %s\n", i, way)
			publish(text)
			answered := time.Now()
			at := docs.await(t, "the document", func(d config.Doc) bool { return string(d.Content) == text })
			took[way] = append(took[way], at.Sub(answered))
		}
	}
	for way, d := range took {
		assert.Less(t, percentile(d, 50), time.Second)
		figure(t, "%s: p50 %s, p99 %s, max %s after the answer, %d publications", way,
			percentile(d, 50), percentile(d, 99), percentile(d, 100), len(d))
	}
}

// Rarely, one node goes on answering with the list of before, though the other has
// confirmed the change: no client can know. It happened with withdrawals on busy
// machines, for as long as the provider stayed connected. One is printed, with what each
// node says; a second one fails.
func TestProvidersOfOneNodeServeConsumersOfAnother(t *testing.T) {
	c := shared.start(t)
	took := map[string][]time.Duration{}
	if what := across(t, c.Addrs(), took); what != "" {
		figure(t, "%s was not told by a node within %s", what, patience)
		require.Empty(t, across(t, c.Addrs(), took), "a change that was not told, for the second time")
	}
	for what, d := range took {
		figure(t, "%s: p50 %s, max %s after the answer, %d times", what, percentile(d, 50), percentile(d, 100), len(d))
	}
}

// across changes instances at one node and notes when consumers of the next have the
// list; it returns what they were not told.
func across(t *testing.T, nodes []string, took map[string][]time.Duration) (missed string) {
	t.Helper()
	const changes = 3
	provider, consumer := instances(t, nodes[:1], ""), instances(t, nodes[1:2], "")
	s := registry.Service{Name: unique("across")}
	updates := watchService(t, consumer, s)

	several := make([]registry.Registration, 3)
	want := map[string]string{}
	for i := range several {
		in := labelled(fmt.Sprintf("10.0.0.%d:80", i+1), "v1")
		several[i] = register(t, provider, s, in)
		want[in.Addr] = "v1"
	}
	updates.await(t, "all three", lister(want))

	change := func(what string, do func() error) {
		t.Helper()
		if missed != "" {
			return
		}
		require.NoError(t, do())
		answered := time.Now()
		at, _, ok := updates.next(lister(want))
		if ok {
			took[what] = append(took[what], at.Sub(answered))
			return
		}
		missed = what
		for _, node := range nodes {
			_, says, _ := watchService(t, instances(t, []string{node}, ""), s).next(func(registry.Update) bool { return true })
			figure(t, "%s: wanted %v, node %s says %v", what, want, node, says.Instances)
		}
	}
	for i := range changes {
		one := several[i%len(several)]
		version := fmt.Sprint("v", i+2)
		want = maps.Clone(want)
		want[one.Instance().Addr] = version
		change("a changed label", func() error { return one.Update(within(t), labelled("", version)) })
	}
	last := several[2].Instance()
	for range changes {
		want = maps.Clone(want)
		delete(want, last.Addr)
		change("a withdrawal", func() error { return several[2].Close(within(t)) })
		want = maps.Clone(want)
		want[last.Addr] = last.Version()
		change("a registration", func() (err error) {
			several[2], err = provider.Register(within(t), s, last)
			return errors.Join(err, several[2].Ready(within(t)))
		})
	}
	return missed
}

// documents returns a client of the config center, until the end of the test.
func documents(t *testing.T, servers []string) *confignacos.Client {
	t.Helper()
	c, err := confignacos.New(confignacos.Config{Servers: servers})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	require.NoError(t, c.Ready(within(t)))
	return c
}

// labelWho is the connection label by which a node tells our clients apart.
const labelWho = "who"

// instances returns a client of the registry, until the end of the test.
func instances(t *testing.T, servers []string, who string) *registrynacos.Client {
	t.Helper()
	c, err := registrynacos.New(registrynacos.Config{Servers: servers, Labels: map[string]string{labelWho: who}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	require.NoError(t, c.Ready(within(t)))
	return c
}

func labelled(addr, version string) registry.Instance {
	in := registry.NewInstance(addr)
	in.Metadata = map[string]string{registry.KeyVersion: version}
	return in
}

func register(t *testing.T, c *registrynacos.Client, s registry.Service, in registry.Instance) registry.Registration {
	t.Helper()
	r, err := c.Register(within(t), s, in)
	require.NoError(t, err)
	require.NoError(t, r.Ready(within(t)))
	return r
}

func watchService(t *testing.T, c *registrynacos.Client, s registry.Service) *reports[registry.Update] {
	t.Helper()
	return watch(t, func(ctx context.Context, fn func(registry.Update)) error { return c.Watch(ctx, s, fn) })
}

// lister reports whether a list holds exactly these addresses in these versions.
func lister(want map[string]string) func(registry.Update) bool {
	return func(u registry.Update) bool {
		have := map[string]string{}
		for i := range u.Instances {
			have[u.Instances[i].Addr] = u.Instances[i].Version()
		}
		return maps.Equal(want, have)
	}
}

// reports are what a watch has told.
type reports[T any] struct{ ch chan report[T] }

type report[T any] struct {
	value T
	at    time.Time
}

// watch runs a Watch until the end of the test.
func watch[T any](t *testing.T, run func(context.Context, func(T)) error) *reports[T] {
	t.Helper()
	r := &reports[T]{ch: make(chan report[T], 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, func(v T) { r.ch <- report[T]{v, time.Now()} }) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-ended, context.Canceled)
	})
	return r
}

// await returns when the first report that is as wanted came.
func (r *reports[T]) await(t *testing.T, what string, wanted func(T) bool) time.Time {
	t.Helper()
	at, last, ok := r.next(wanted)
	require.True(t, ok, "never reported: %s; last: %+v", what, last)
	return at
}

// next returns the first report that is as wanted, and when it came, or the last one
// within patience.
func (r *reports[T]) next(wanted func(T) bool) (at time.Time, last T, ok bool) {
	late := time.After(patience)
	for {
		select {
		case next := <-r.ch:
			if last = next.value; wanted(last) {
				return next.at, last, true
			}
		case <-late:
			return time.Time{}, last, false
		}
	}
}
