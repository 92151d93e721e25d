package balancer

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// request is a config.Request for tests.
type request struct {
	headers      map[string]string // lower case
	path, method string
	user, lane   string
}

func (r request) Header(n config.HeaderName) (string, bool) {
	v, ok := r.headers[n.Lower]
	return v, ok
}
func (r request) Cookie(string) (string, bool) { return "", false }
func (r request) Query(string) (string, bool)  { return "", false }
func (r request) Path() string                 { return r.path }
func (r request) Method() string               { return r.method }
func (r request) User() string                 { return r.user }
func (r request) Lane() string                 { return r.lane }

// instance returns a healthy instance; labels come in pairs.
func instance(addr string, weight float64, labels ...string) registry.Instance {
	in := registry.NewInstance(addr)
	in.Weight = registry.Weight(weight)
	in.Metadata = map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		in.Metadata[labels[i]] = labels[i+1]
	}
	return in
}

// versions returns instances of the given versions at 10.0.0.1:1, 10.0.0.1:2 and so on.
func versions(vs ...string) []registry.Instance {
	var out []registry.Instance
	for i, v := range vs {
		out = append(out, instance(fmt.Sprintf("10.0.0.1:%d", i+1), 1, "version", v))
	}
	return out
}

func snapshot(in ...registry.Instance) *registry.Snapshot {
	return registry.NewSnapshot(registry.Service{Name: "order"}.WithDefaults(), 1, in)
}

func rules(tb testing.TB, doc string) *config.Rules {
	tb.Helper()
	r, problems := config.ParseRules("gray.order.yaml", "order", []byte(doc))
	require.NoError(tb, problems.Err())
	return r
}

// candidates returns the addresses that a decision leaves to the picker.
func candidates(d Decision) []string {
	var out []string
	for e := range d.Candidates() {
		out = append(out, e.Addr())
	}
	return out
}
