package e2e

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/integration/internal/fleet"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/nacostest"
)

func TestMain(m *testing.M) {
	if provider, err := fleet.Play(); provider {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if role := os.Getenv(envRole); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(tests{m})
}

// tests ends the real node before the search for leaks.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer shared.close()
	return m.M.Run()
}

// shared is the package's only real Nacos that all scripts share.
var shared sharedNode

// sharedNode starts a node when somebody needs it.
type sharedNode struct {
	once sync.Once
	node *nacos.Node
	err  error
}

func (s *sharedNode) start(t *testing.T) *nacos.Node {
	t.Helper()
	s.once.Do(func() {
		s.node, s.err = nacos.Start(context.Background(), nacos.Options{Logf: t.Logf}) //nolint:usetesting // it outlives the test
	})
	require.NoError(t, s.err)
	return s.node
}

func (s *sharedNode) close() {
	if s.node == nil {
		return
	}
	if err := s.node.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// server is a Nacos that a script runs on.
type server struct {
	addr    string // of the HTTP API
	console string // where the console sends its requests
}

// forEachServer runs a script on nacostest and on a real Nacos.
func forEachServer(t *testing.T, script func(s *stage)) {
	t.Helper()
	t.Run("nacostest", func(t *testing.T) {
		s := nacostest.Run(t)
		script(newStage(t, server{addr: s.Addr(), console: s.Addr()}))
	})
	t.Run("nacos", func(t *testing.T) {
		n := shared.start(t)
		script(newStage(t, server{addr: n.Addr(), console: n.Console()}))
	})
}

// figure prints a measurement, for the eye of whoever reads the log of CI.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("FIGURE %s: %s", t.Name(), fmt.Sprintf(format, args...))
}
