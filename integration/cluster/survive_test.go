package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/resolver"
)

func TestKilledNodesFailNoRequest(t *testing.T) {
	c := shared.start(t)
	f := newTraffic(t, c.Addrs(), unique("survive"))
	versions := []string{"v1", "v1", "v1", "v2", "v2"}
	want := map[string]string{}
	for _, version := range versions {
		for _, addr := range f.provide(version, nil).Addrs {
			want[addr] = version
		}
	}
	f.sees(len(versions))
	f.publish(admin{t, c.Nodes[0]}, byHeader)

	stop := f.flow(rate)
	f.passes(2_000)
	stop()
	f.flawless("control, no node is killed")

	stop = f.flow(rate)
	defer stop()
	for i, node := range c.Nodes {
		rest := []admin{{t, c.Nodes[(i+1)%3]}, {t, c.Nodes[(i+2)%3]}}
		before, err := admin{t, node}.own(f.service)
		require.NoError(t, err)
		killed := time.Now()
		node.Kill()
		for _, a := range rest {
			a.await("all registrations", func() error { return a.lists(f.service, want) })
		}
		rest[0].await("connections elsewhere", func() error { return hold(rest, f.service, len(versions)+1) })
		figure(t, "node %d killed: %d of %d registering and subscribing connections were on it; all were back elsewhere after %s",
			i+1, len(before), len(versions)+1, since(killed))

		began := time.Now()
		require.NoError(t, node.Start(t.Context()))
		back := admin{t, node}
		back.await("all registrations", func() error { return back.lists(f.service, want) })
		figure(t, "node %d started again: up, with all registrations, after %s", i+1, since(began))
		for protocol, view := range f.views {
			assert.Equal(t, len(versions), view.State().Snapshot.Len(), "%s instances at the consumer", protocol)
		}
	}
	f.publish(admin{t, c.Nodes[2]}, byHeader+"# and the rules still arrive\n")
	f.passes(400)
	stop()
	f.await("all instances", func(st *resolver.State) bool { return st.Snapshot.Len() == len(versions) })
	f.flawless("every node killed and started again")
}

// own returns the node's own connections that announce a service or subscribe
// to it.
func (a admin) own(service string) (map[string]bool, error) {
	here, err := a.connections()
	if err != nil {
		return nil, err
	}
	publishers, err := a.publishers(service)
	if err != nil {
		return nil, err
	}
	subscribers, err := a.subscribers(service)
	own := map[string]bool{}
	for _, ids := range []map[string]int{publishers, subscribers} {
		for id := range ids {
			if _, ok := here[id]; ok {
				own[id] = true
			}
		}
	}
	return own, err
}

// hold fails unless the nodes together have n connections of their own that
// announce a service or subscribe to it.
func hold(nodes []admin, service string, n int) error {
	have := 0
	for _, a := range nodes {
		own, err := a.own(service)
		if err != nil {
			return err
		}
		have += len(own)
	}
	if have != n {
		return fmt.Errorf("%d connections of %d", have, n)
	}
	return nil
}
