package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/integration/nacos"
)

func TestMain(m *testing.M) {
	if played, err := Play(); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(tests{m})
}

// tests ends the cluster before the search for leaks.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	defer func() {
		if cluster != nil {
			_ = cluster.Close()
		}
	}()
	return m.M.Run()
}

// cluster is the one that all tests share.
var (
	start   sync.Once
	cluster *nacos.Cluster
)

func shared(t *testing.T) *nacos.Cluster {
	t.Helper()
	start.Do(func() {
		began := time.Now()
		c, err := nacos.StartCluster(context.Background(), nacos.Options{Logf: t.Logf}) //nolint:usetesting // it outlives the test
		require.NoError(t, err)
		cluster = c
		t.Logf("FIGURE faults: three nodes started in %s", time.Since(began).Round(time.Second))
	})
	require.NotNil(t, cluster, "the cluster did not start")
	for _, n := range cluster.Nodes {
		select {
		case <-n.Done(): // a test that failed has left it dead
			require.NoError(t, n.Start(t.Context()))
		default:
		}
	}
	return cluster
}
