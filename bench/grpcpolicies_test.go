package bench

import (
	"testing"
	"time"

	orca "github.com/cncf/xds/go/xds/data/orca/v3"
	"github.com/stretchr/testify/require"
	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/balancer/ringhash"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/metadata"
)

func grpcRoundRobin(tb testing.TB, in []instance) drawn {
	tb.Helper()
	return newDrawnGRPC(tb, roundrobin.Name, `{}`, in).drawn(tb, in)
}

func newDrawnGRPC(tb testing.TB, name, config string, in []instance) *grpcPolicy {
	tb.Helper()
	p := newGRPC(tb, name, config)
	p.update(tb, endpoints(in), in)
	return p
}

func (p *grpcPolicy) drawn(tb testing.TB, in []instance) drawn {
	tb.Helper()
	info := gbalancer.PickInfo{FullMethodName: "/order.Order/Get", Ctx: tb.Context()}
	picker, list := p.cc.picker(), endpoints(in)
	return drawn{
		pick: func() { _, _ = picker.Pick(info) },
		index: func() int {
			r, err := picker.Pick(info)
			require.NoError(tb, err)
			return p.index(r)
		},
		rebuild: func() {
			p.update(tb, list, in)
			picker = p.cc.picker()
		},
	}
}

// grpcWRR gets its weights where it takes them from alone: reports of load that come
// with the answers.
func grpcWRR(tb testing.TB, in []instance) drawn {
	tb.Helper()
	p := newDrawnGRPC(tb, weightedroundrobin.Name,
		`{"blackoutPeriod": "0s", "weightExpirationPeriod": "36000s", "weightUpdatePeriod": "36000s"}`, in)
	p.reportLoad(tb, in)
	p.update(tb, endpoints(in), in) // or the weights would count after weightUpdatePeriod only
	return p.drawn(tb, in)
}

// reportLoad gives each instance one answer with its load. Without weights the
// policy goes round.
func (p *grpcPolicy) reportLoad(tb testing.TB, in []instance) {
	tb.Helper()
	picker, seen := p.cc.picker(), make(map[int]bool)
	for range in {
		r, err := picker.Pick(gbalancer.PickInfo{Ctx: tb.Context()})
		require.NoError(tb, err)
		i := p.index(r)
		seen[i] = true
		r.Done(gbalancer.DoneInfo{ServerLoad: &orca.OrcaLoadReport{ApplicationUtilization: 1, RpsFractional: in[i].weight}})
	}
	require.Len(tb, seen, len(in))
}

// grpcRingHash gets the key from the metadata of the call, which is the way without
// xDS, and the weights as attributes.
func grpcRingHash(tb testing.TB, in []instance) keyed {
	tb.Helper()
	p := newGRPC(tb, ringhash.Name, `{"requestHashHeader": "x-user-id"}`)
	list := endpoints(in)
	for i := range list {
		list[i] = weight.Set(list[i], weight.EndpointInfo{Weight: uint32(in[i].whole())})
	}
	p.update(tb, list, in)
	call := func(key string) gbalancer.PickInfo {
		return gbalancer.PickInfo{
			FullMethodName: "/order.Order/Get",
			Ctx:            metadata.NewOutgoingContext(tb.Context(), metadata.Pairs("x-user-id", key)),
		}
	}
	// It connects to an instance when the first call is to go there.
	first := func(key string) int {
		for info := call(key); ; {
			r, err := p.cc.picker().Pick(info)
			if err == nil {
				return p.index(r)
			}
			require.ErrorIs(tb, err, gbalancer.ErrNoSubConnAvailable)
			p.await(tb)
		}
	}
	hot := make([]gbalancer.PickInfo, hotKeys)
	for i, k := range keys(hotKeys) {
		first(k)
		hot[i] = call(k)
	}
	picker := p.cc.picker()
	return keyed{
		pick:  func(i int) { _, _ = picker.Pick(hot[i]) },
		owner: first,
	}
}

func grpcLeastRequest(tb testing.TB, in []instance) loaded {
	tb.Helper()
	p := newDrawnGRPC(tb, leastrequest.Name, `{}`, in)
	info, picker := gbalancer.PickInfo{FullMethodName: "/order.Order/Get", Ctx: tb.Context()}, p.cc.picker()
	return loaded{
		pick: func() {
			r, _ := picker.Pick(info)
			r.Done(gbalancer.DoneInfo{})
		},
		begin: func() (int, func(time.Duration, bool)) {
			r, err := picker.Pick(info)
			require.NoError(tb, err)
			return p.index(r), func(_ time.Duration, failed bool) {
				var done gbalancer.DoneInfo
				if failed {
					done.Err = errFailed
				}
				r.Done(done)
			}
		},
	}
}
