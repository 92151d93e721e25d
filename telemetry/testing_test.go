package telemetry_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request is one for a version that a header names, "" for none.
type request struct{ version string }

func (r request) Header(name config.HeaderName) (string, bool) {
	return r.version, r.version != "" && name.Lower == lane.HeaderVersion
}
func (request) Cookie(string) (string, bool) { return "", false }
func (request) Query(string) (string, bool)  { return "", false }
func (request) Path() string                 { return "/" }
func (request) Method() string               { return "GET" }
func (request) User() string                 { return "" }
func (request) Lane() string                 { return "" }
