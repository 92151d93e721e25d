package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/integration/internal/fleet"
	"github.com/graylane/graylane/integration/nacos"
)

func TestMain(m *testing.M) {
	if provider, err := fleet.Play(); provider {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if member, err := playMember(); member {
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
	defer shared.close()
	return m.M.Run()
}

// shared is the cluster that all tests share. Who kills a node starts it again.
var shared sharedCluster

type sharedCluster struct {
	once    sync.Once
	cluster *nacos.Cluster
	err     error
}

func (s *sharedCluster) start(t *testing.T) *nacos.Cluster {
	t.Helper()
	s.once.Do(func() {
		began := time.Now()
		s.cluster, s.err = nacos.StartCluster(context.Background(), nacos.Options{Logf: t.Logf}) //nolint:usetesting // it outlives the test
		figure(t, "three nodes started in %s", since(began))
	})
	require.NoError(t, s.err)
	for _, n := range s.cluster.Nodes {
		select {
		case <-n.Done(): // a test that failed has left it dead
			require.NoError(t, n.Start(t.Context()))
		default:
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.cluster.LogTail())
		}
	})
	return s.cluster
}

func (s *sharedCluster) close() {
	if s.cluster == nil {
		return
	}
	if err := s.cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// patience bounds every wait for an event, a node's start excepted.
const patience = 20 * time.Second

// within returns a context of the test that ends after patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

var names atomic.Int64

// unique returns a service name that no other test uses.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, names.Add(1)) }

// figure prints a measurement, for the eye of whoever reads the log of CI.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("FIGURE %s: %s", t.Name(), fmt.Sprintf(format, args...))
}

func since(began time.Time) time.Duration { return rounded(time.Since(began)) }

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// percentile of durations.
func percentile(of []time.Duration, p int) time.Duration {
	return rounded(slices.Sorted(slices.Values(of))[(len(of)-1)*p/100])
}
