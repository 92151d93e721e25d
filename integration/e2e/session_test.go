package e2e

import (
	"testing"

	"github.com/graylane/graylane/internal/nacosconn/suite"
)

// TestTheSessionOnARealNacos is what the module's own tests ask of nacostest.
func TestTheSessionOnARealNacos(t *testing.T) {
	addr := shared.start(t).Addr()
	t.Run("registry", func(t *testing.T) { suite.Registry(t, addr) })
	t.Run("config", func(t *testing.T) { suite.Config(t, addr) })
}
