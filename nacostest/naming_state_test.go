package nacostest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

var state = registry.Service{Name: "s"}.WithDefaults()

// sweeping lets time pass with a sweep each second, as a running server does.
func (n *naming) sweeping(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Second) //nolint:forbidigo // it is the time of a synctest bubble.
		n.sweep(time.Now())
	}
}

func version(n *naming) string {
	list := n.instances(state)
	if len(list) == 0 {
		return "none"
	}
	return list[0].Metadata["version"]
}

func TestAnEditOutlivesItsInstanceByAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNaming(0)
		in := NewInstance("10.0.0.1", 80, map[string]string{"version": "v1"})
		on, off := publication{instances: []Instance{in}}, publication{}
		p := httpPublisher(in)
		n.publish(p, state, on)
		edited := in
		edited.Metadata = map[string]string{"version": "v2"}
		require.True(t, n.edit(state, edited))
		n.sweeping(time.Hour)
		require.Equal(t, "v2", version(n), "while the instance is there it stays")

		n.publish(p, state, off)
		n.sweeping(59 * time.Second)
		n.publish(p, state, on)
		n.sweeping(time.Hour)
		require.Equal(t, "v2", version(n), "a restart within a minute gets it back")

		n.publish(p, state, off)
		n.sweeping(61 * time.Second)
		n.publish(p, state, on)
		assert.Equal(t, "v1", version(n), "a later one does not")
	})
}

func TestAnHTTPInstanceNeedsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNaming(0)
		in := NewInstance("10.0.0.1", 80, nil)
		p := httpPublisher(in)
		require.False(t, n.beat(p, state), "nobody is registered")
		n.publish(p, state, publication{instances: []Instance{in}, beat: time.Now()})
		n.sweeping(14 * time.Second)
		require.True(t, n.beat(p, state))
		n.sweeping(14 * time.Second)
		require.True(t, n.instances(state)[0].Healthy)
		n.sweeping(2 * time.Second)
		require.False(t, n.instances(state)[0].Healthy)
		require.True(t, n.beat(p, state))
		require.True(t, n.instances(state)[0].Healthy, "a heartbeat heals it")
		n.sweeping(29 * time.Second)
		require.Len(t, n.instances(state), 1)
		n.sweeping(2 * time.Second)
		require.Empty(t, n.instances(state))
		assert.False(t, n.beat(p, state))
	})
}

func TestAnEmptyServiceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNaming(0)
		c := newConn("1", "127.0.0.1:1", time.Now())
		n.join(c)
		in := NewInstance("10.0.0.1", 80, nil)
		require.True(t, n.publish(publisher{conn: c}, state, publication{instances: []Instance{in}}))
		require.True(t, n.publish(publisher{conn: c}, state, publication{}))
		require.Equal(t, []string{"s"}, n.names(state.Namespace, state.Group))
		n.sweeping(61 * time.Second)
		assert.Empty(t, n.names(state.Namespace, state.Group))
		assert.Empty(t, n.services)
		assert.Empty(t, n.clients[c], "and by those who named it")

		require.True(t, n.subscribe(c, state, "", true))
		n.sweeping(61 * time.Second)
		assert.Len(t, n.services, 1, "not while somebody watches")
		n.leave(c)
		n.sweeping(61 * time.Second)
		assert.Empty(t, n.services)
		assert.False(t, n.publish(publisher{conn: c}, state, publication{instances: []Instance{in}}), "who left cannot register")
		assert.False(t, n.subscribe(c, state, "", true))
	})
}
