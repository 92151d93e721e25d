package suite_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/graylane/graylane/internal/nacosconn/suite"
	"github.com/graylane/graylane/nacostest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOnEmbeddedServer(t *testing.T) {
	srv := nacostest.Run(t)
	t.Run("registry", func(t *testing.T) { suite.Registry(t, srv.Addr()) })
	t.Run("config", func(t *testing.T) { suite.Config(t, srv.Addr()) })
}
