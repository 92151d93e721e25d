package bench

import (
	"strconv"
	"testing"
	"time"

	kregistry "github.com/go-kratos/kratos/v2/registry"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/selector/filter"
	"github.com/go-kratos/kratos/v2/selector/p2c"
	"github.com/go-kratos/kratos/v2/selector/wrr"
	"github.com/stretchr/testify/require"
)

// kratosNodes is a list as a discovery of Kratos brings it. Weights are whole
// numbers, in the metadata.
func kratosNodes(in []instance) []selector.Node {
	nodes := make([]selector.Node, len(in))
	for i := range in {
		nodes[i] = selector.NewNode("http", in[i].addr(), &kregistry.ServiceInstance{
			Name: service, Version: in[i].version,
			Metadata: map[string]string{"weight": strconv.Itoa(in[i].whole())},
		})
	}
	return nodes
}

// kratosSelect is a pick with its end, as the client's middleware does.
func kratosSelect(tb testing.TB, s selector.Selector, opts ...selector.SelectOption) func() string {
	tb.Helper()
	ctx := tb.Context()
	return func() string {
		n, end, err := s.Select(ctx, opts...)
		if err != nil {
			tb.Error(err)
			return ""
		}
		end(ctx, selector.DoneInfo{})
		return n.Address()
	}
}

func kratosWRR(tb testing.TB, in []instance) drawn {
	tb.Helper()
	s, nodes, at := wrr.New(), kratosNodes(in), byAddr(in)
	s.Apply(nodes)
	pick := kratosSelect(tb, s)
	return drawn{
		pick:    func() { pick() },
		index:   func() int { return at[pick()] },
		rebuild: func() { s.Apply(nodes) },
	}
}

func kratosVersion(tb testing.TB, in []instance) keyed {
	tb.Helper()
	s, at := wrr.New(), byAddr(in)
	s.Apply(kratosNodes(in))
	picks := make([]func() string, 16)
	for i := range picks {
		picks[i] = kratosSelect(tb, s, selector.WithNodeFilter(filter.Version("v"+strconv.Itoa(i%10))))
	}
	return keyed{
		pick: func(i int) { picks[i&15]() },
		owner: func(version string) int {
			return at[kratosSelect(tb, s, selector.WithNodeFilter(filter.Version(version)))()]
		},
	}
}

func kratosP2C(tb testing.TB, in []instance) loaded {
	tb.Helper()
	s, at, ctx := p2c.New(), byAddr(in), tb.Context()
	s.Apply(kratosNodes(in))
	pick := kratosSelect(tb, s)
	return loaded{
		pick: func() { pick() },
		begin: func() (int, func(time.Duration, bool)) {
			n, end, err := s.Select(ctx)
			require.NoError(tb, err)
			return at[n.Address()], func(_ time.Duration, failed bool) {
				var info selector.DoneInfo
				if failed {
					info.Err = errFailed
				}
				end(ctx, info)
			}
		},
	}
}
