package bench

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/bufbuild/httplb/attribute"
	"github.com/bufbuild/httplb/conn"
	"github.com/bufbuild/httplb/picker"
	hresolver "github.com/bufbuild/httplb/resolver"
	"github.com/stretchr/testify/require"
)

// httplb's pickers take connections; these ones are not connected. It knows no
// weights.
type httplbConn struct {
	index int
	addr  hresolver.Address
}

func (*httplbConn) RoundTrip(*http.Request, func()) (*http.Response, error) { return nil, errFailed }
func (*httplbConn) Scheme() string                                          { return "http" }
func (c *httplbConn) Address() hresolver.Address                            { return c.addr }
func (*httplbConn) UpdateAttributes(attribute.Values)                       {}
func (*httplbConn) Prewarm(context.Context) error                           { return nil }

// httplbConns is a conn.Conns.
type httplbConns []conn.Conn

func (c httplbConns) Len() int            { return len(c) }
func (c httplbConns) Get(i int) conn.Conn { return c[i] }

func newHTTPLB(in []instance) httplbConns {
	out := make(httplbConns, len(in))
	for i := range in {
		out[i] = &httplbConn{i, hresolver.Address{HostPort: in[i].addr()}}
	}
	return out
}

type newPicker func(picker.Picker, conn.Conns) picker.Picker

// httplbDrawn is a picker that wants no end.
func httplbDrawn(tb testing.TB, build newPicker, in []instance) drawn {
	tb.Helper()
	conns := newHTTPLB(in)
	p := build(nil, conns)
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://order/", http.NoBody)
	require.NoError(tb, err)
	return drawn{
		pick: func() { _, _, _ = p.Pick(req) },
		index: func() int {
			c, _, err := p.Pick(req)
			require.NoError(tb, err)
			return c.(*httplbConn).index
		},
		rebuild: func() { p = build(p, conns) },
	}
}

func httplbRoundRobin(tb testing.TB, in []instance) drawn {
	tb.Helper()
	return httplbDrawn(tb, picker.NewRoundRobin, in)
}

func httplbRandom(tb testing.TB, in []instance) drawn {
	tb.Helper()
	return httplbDrawn(tb, picker.NewRandom, in)
}

// httplbLoaded is a picker that is told of the end of a request.
func httplbLoaded(tb testing.TB, build newPicker, in []instance) loaded {
	tb.Helper()
	p := build(nil, newHTTPLB(in))
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://order/", http.NoBody)
	require.NoError(tb, err)
	return loaded{
		pick: func() {
			_, end, _ := p.Pick(req)
			end()
		},
		begin: func() (int, func(time.Duration, bool)) {
			c, end, err := p.Pick(req)
			require.NoError(tb, err)
			return c.(*httplbConn).index, func(time.Duration, bool) { end() }
		},
	}
}

func httplbP2C(tb testing.TB, in []instance) loaded {
	tb.Helper()
	return httplbLoaded(tb, picker.NewPowerOfTwo, in)
}

func httplbLeastLoaded(tb testing.TB, in []instance) loaded {
	tb.Helper()
	return httplbLoaded(tb, picker.NewLeastLoadedRoundRobin, in)
}
