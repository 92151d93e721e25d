package nacostest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// BenchmarkPush is one change of one instance, told to one subscriber, in a
// service of n.
func BenchmarkPush(b *testing.B) {
	for _, n := range []int{10, 1000, 5000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			srv := nacostest.Run(b, nacostest.WithPushDelay(0))
			c := benchClient(b, srv)
			batch := make([]string, n)
			for i := range batch {
				batch[i] = fmt.Sprintf(`{"ip":"10.0.%d.%d","port":80,"metadata":{"version":"v1","env":"prod"}}`, i/250, i%250)
			}
			c.call("BatchInstanceRequest", `{`+svcBody+`,"type":"batchRegisterInstance","instances":[`+strings.Join(batch, ",")+`]}`)
			c.call("SubscribeServiceRequest", subscribeBody)
			c.await()
			in := nacostest.NewInstance("10.9.9.9", 80, nil)
			for b.Loop() {
				in.Weight++
				srv.Register(user, in)
				c.await()
			}
		})
	}
}

func benchClient(b *testing.B, srv *nacostest.Server) *client {
	b.Helper()
	c := dial(b, srv.GRPCAddr())
	c.setup(`{"labels":{"module":"naming"},"abilityTable":{}}`)
	c.await()
	return c
}

// TestManyInstancesOneByOne would not end in time if a registration cost as much
// as the service is long.
func TestManyInstancesOneByOne(t *testing.T) {
	const n = 20_000
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "naming")
	c.call("SubscribeServiceRequest", subscribeBody)
	for i := range n {
		srv.Register(user, nacostest.NewInstance(fmt.Sprintf("10.0.%d.%d", i/250, i%250), 80, nil))
	}
	list, err := srv.AwaitInstances(t.Context(), user, n)
	require.NoError(t, err)
	require.Len(t, list, n)
	pushes := 1
	for len(c.hosts()) != n {
		pushes++
	}
	require.Less(t, pushes, n/10, "changes are merged")
}

// BenchmarkServices registers and queries in many services.
func BenchmarkServices(b *testing.B) {
	srv := nacostest.Run(b)
	for i := range 20_000 {
		srv.Register(registry.Service{Name: strconv.Itoa(i)}, nacostest.NewInstance("10.0.0.1", 80, nil))
	}
	c := benchClient(b, srv)
	for b.Loop() {
		c.call("InstanceRequest", registerBody(`{"ip":"10.0.0.1","port":80}`))
		c.call("ServiceQueryRequest", queryBody)
	}
}
