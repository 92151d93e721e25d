package cluster

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

// The node of a provider and a consumer is killed. Both know all nodes.
func TestEverythingMovesToAnotherNode(t *testing.T) {
	c := shared.start(t)
	dying, others := c.Nodes[0], []admin{{t, c.Nodes[1]}, {t, c.Nodes[2]}}
	provider, consumer := onNode(t, c, dying, "provider"), onNode(t, c, dying, "consumer")
	rules := documents(t, c.Addrs())
	witness := instances(t, c.Addrs()[2:], "")
	several, single := registry.Service{Name: unique("several")}, registry.Service{Name: unique("single")}
	id := config.ServiceDocID(single.Name)

	want := map[string]string{"10.0.0.1:80": "v1", "10.0.0.2:80": "v1", "10.0.0.3:80": "v2"}
	registrations := []registry.Registration{}
	for addr, version := range want {
		registrations = append(registrations, register(t, provider, several, labelled(addr, version)))
	}
	alone := map[string]string{"10.0.0.9:80": "v1"}
	registrations = append(registrations, register(t, provider, single, labelled("10.0.0.9:80", "v1")))
	updates, news := watchService(t, consumer, several), watchService(t, consumer, single)
	seen := watchService(t, witness, several)
	docs := watch(t, func(ctx context.Context, fn func(config.Doc)) error { return rules.Watch(ctx, id, fn) })
	updates.await(t, "the three", lister(want))
	news.await(t, "the one", lister(alone))
	seen.await(t, "the three", lister(want))
	others[0].publish(single.Name, "before")
	docs.await(t, "the document", holds("before"))
	before := map[string]map[string]int{}
	for _, s := range []registry.Service{several, single} {
		var err error
		before[s.Name], err = others[0].publishers(s.Name)
		require.NoError(t, err)
	}

	killed := time.Now()
	dying.Kill()
	for _, a := range others {
		for _, s := range []registry.Service{several, single} {
			n := map[string]int{several.Name: 3, single.Name: 1}[s.Name]
			a.await(s.Name+" announced anew", func() error { return a.announcedAnew(s.Name, before[s.Name], n) })
		}
		figure(t, "node %s has the registrations from a new connection %s after kill -9", a.node.Addr(), since(killed))
	}
	for _, r := range registrations {
		assert.Equal(t, registry.Registered, r.State())
	}
	for _, a := range others {
		listed, err := a.listed(several.Name)
		require.NoError(t, err)
		assert.Equal(t, want, listed)
	}

	// The subscriptions are alive, and so is the listen: what others say now
	// arrives.
	third := instances(t, c.Addrs()[1:2], "")
	began := time.Now()
	register(t, third, several, labelled("10.0.0.4:80", "v3"))
	register(t, third, single, labelled("10.0.0.4:80", "v3"))
	want, alone = maps.Clone(want), maps.Clone(alone)
	want["10.0.0.4:80"], alone["10.0.0.4:80"] = "v3", "v3"
	figure(t, "another's registration reached the consumer after %s", rounded(updates.await(t, "the fourth", lister(want)).Sub(began)))
	news.await(t, "the second", lister(alone))
	began = time.Now()
	others[1].publish(single.Name, "after")
	figure(t, "a document reached the consumer after %s", rounded(docs.await(t, "the document", holds("after")).Sub(began)))
	require.NoError(t, seen.never(func(u registry.Update) bool { return len(u.Instances) < 3 }), "a subscriber elsewhere saw a gap")

	began = time.Now()
	require.NoError(t, dying.Start(t.Context()))
	back := admin{t, dying}
	back.await("its lists", func() error { return back.lists(several.Name, want) })
	figure(t, "the node was up again, with its lists, %s after its start", since(began))
}

// onNode returns a client that knows all nodes and is connected to the one.
func onNode(t *testing.T, c *nacos.Cluster, node *nacos.Node, who string) *registrynacos.Client {
	t.Helper()
	const tries = 50 // each meets one of three nodes
	for range tries {
		name := unique(who)
		client := instances(t, c.Addrs(), name)
		there, err := admin{t, node}.connected(labelWho, name)
		require.NoError(t, err)
		if there {
			return client
		}
		require.NoError(t, client.Close())
	}
	require.Fail(t, "no client has met the node")
	return nil
}

func holds(text string) func(config.Doc) bool {
	return func(d config.Doc) bool { return string(d.Content) == text }
}

// announcedAnew fails unless a connection that was not there before announces n
// instances of a service.
func (a admin) announcedAnew(service string, before map[string]int, n int) error {
	now, err := a.publishers(service)
	if err != nil {
		return err
	}
	for id, have := range now {
		if _, old := before[id]; !old && have == n {
			return nil
		}
	}
	return fmt.Errorf("before %v, now %v", before, now)
}

// lists fails unless the node lists these addresses in these versions.
func (a admin) lists(service string, want map[string]string) error {
	have, err := a.listed(service)
	if err == nil && !maps.Equal(want, have) {
		err = fmt.Errorf("want %v, listed %v", want, have)
	}
	return err
}

// never fails if one of the reports so far is as unwanted.
func (r *reports[T]) never(unwanted func(T) bool) error {
	for {
		select {
		case next := <-r.ch:
			if unwanted(next.value) {
				return fmt.Errorf("at %s: %+v", next.at.Format(time.StampMilli), next.value)
			}
		default:
			return nil
		}
	}
}
