package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

const (
	// maxClose is what Client.Close promises.
	maxClose = 2 * time.Second
	// closes is how many clients are closed in each case: the machine may stand
	// still during one.
	closes = 3
)

// patient is a Nacos of one's own, to do harm to.
type patient struct {
	addr               string
	hang, resume, gone func()
}

func TestCloseEndsInTimeWhateverNacosDoes(t *testing.T) {
	t.Run("nacostest", func(t *testing.T) {
		s := nacostest.Run(t)
		closeInTime(t, patient{
			addr:   s.Addr(),
			hang:   func() { s.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() }) },
			resume: func() { s.Intercept(nil) },
			gone:   s.Stop,
		})
	})
	t.Run("nacos", func(t *testing.T) {
		n := nacos.Run(t)
		closeInTime(t, patient{
			addr:   n.Addr(),
			hang:   func() { require.NoError(t, n.Pause()) },
			resume: func() { require.NoError(t, n.Resume()) },
			gone:   func() { require.NoError(t, n.Close()) },
		})
	})
}

func closeInTime(t *testing.T, victim patient) {
	t.Helper()
	check := func(what string, harm func()) {
		before := goleak.IgnoreCurrent()
		var clients []*graylane.Client
		for range closes {
			clients = append(clients, busyClient(t, victim.addr))
		}
		harm()
		closeTimed(t, clients, "Nacos "+what)
		assert.NoError(t, goleak.Find(before), "goroutines left by Close with Nacos %s", what)
	}
	check("well", func() {})
	check("hung", victim.hang)

	// And clients that never had a connection.
	before := goleak.IgnoreCurrent()
	var clients []*graylane.Client
	for range closes {
		client, err := graylane.Open(t.Context(), graylane.WithServers(victim.addr))
		require.NoError(t, err)
		_, err = client.Register(t.Context(), registry.Service{Name: "close"}, registry.NewInstance("127.0.0.1:1"))
		require.NoError(t, err)
		clients = append(clients, client)
	}
	closeTimed(t, clients, "Nacos hung from the start")
	require.NoError(t, goleak.Find(before))

	victim.resume()
	check("gone", victim.gone)
}

// busyClient returns a client with a registration, a view and its document.
func busyClient(t *testing.T, addr string) *graylane.Client {
	t.Helper()
	client, err := graylane.Open(t.Context(), graylane.WithServers(addr))
	require.NoError(t, err)
	s := &stage{t: t}
	ctx, cancel := s.within()
	defer cancel()
	require.NoError(t, client.Ready(ctx))
	registration, err := client.Register(ctx, registry.Service{Name: "close"}, registry.NewInstance("127.0.0.1:1"))
	require.NoError(t, err)
	require.NoError(t, registration.Ready(ctx))
	view, err := client.Resolver().View(client.Resolver().Service("close"), "")
	require.NoError(t, err)
	require.NoError(t, view.Ready(ctx))
	return client
}

func closeTimed(t *testing.T, clients []*graylane.Client, what string) {
	t.Helper()
	var took []time.Duration
	for _, client := range clients {
		start := time.Now()
		require.NoError(t, client.Close())
		took = append(took, time.Since(start).Round(100*time.Microsecond))
	}
	figure(t, "%s: Close took %s", what, took)
	assert.Less(t, percentile(took, 50), maxClose)
	assert.Less(t, percentile(took, 100), patience)
}
