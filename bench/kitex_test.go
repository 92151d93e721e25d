package bench

import (
	"context"
	"testing"

	"github.com/cloudwego/kitex/pkg/discovery"
	"github.com/cloudwego/kitex/pkg/loadbalance"
	"github.com/stretchr/testify/require"
)

// kitex is driven as its client does: GetPicker, Next and, where there is one,
// Recycle. Weights are whole numbers.
type kitex struct {
	lb     loadbalance.Loadbalancer
	result discovery.Result
	at     map[string]int
}

func newKitex(lb loadbalance.Loadbalancer, in []instance) *kitex {
	return &kitex{lb: lb, result: kitexResult(in), at: byAddr(in)}
}

func kitexResult(in []instance) discovery.Result {
	r := discovery.Result{Cacheable: true, CacheKey: service}
	for i := range in {
		r.Instances = append(r.Instances, discovery.NewInstance("tcp", in[i].addr(), in[i].whole(), nil))
	}
	return r
}

func (k *kitex) pick(ctx context.Context, req any) discovery.Instance {
	p := k.lb.GetPicker(k.result)
	in := p.Next(ctx, req)
	if r, ok := p.(interface{ Recycle() }); ok {
		r.Recycle()
	}
	return in
}

func (k *kitex) index(ctx context.Context, req any) int {
	return k.at[k.pick(ctx, req).Address().String()]
}

func (k *kitex) rebuild(tb testing.TB) {
	tb.Helper()
	r, ok := k.lb.(loadbalance.Rebalancer)
	require.True(tb, ok)
	r.Rebalance(discovery.Change{Result: k.result})
}

func (k *kitex) drawn(tb testing.TB) drawn {
	tb.Helper()
	ctx := tb.Context()
	return drawn{
		pick:    func() { k.pick(ctx, nil) },
		index:   func() int { return k.index(ctx, nil) },
		rebuild: func() { k.rebuild(tb) },
	}
}

func kitexIWRR(tb testing.TB, in []instance) drawn {
	tb.Helper()
	return newKitex(loadbalance.NewInterleavedWeightedRoundRobinBalancer(), in).drawn(tb)
}

// kitexWRR is fast only when its sequence has been filled, as long as the weights
// together: it is filled here, before anything is measured.
func kitexWRR(tb testing.TB, in []instance) drawn {
	tb.Helper()
	d := newKitex(loadbalance.NewWeightedRoundRobinBalancer(), in).drawn(tb)
	for i := range in {
		for range in[i].whole() {
			d.pick()
		}
	}
	return d
}

func kitexAlias(tb testing.TB, in []instance) drawn {
	tb.Helper()
	return newKitex(loadbalance.NewWeightedRandomWithAliasMethodBalancer(), in).drawn(tb)
}

// kitexAliasNext is Next alone, without looking the picker up: no client of kitex's
// gets that.
func kitexAliasNext(tb testing.TB, in []instance) drawn {
	tb.Helper()
	k, ctx := newKitex(loadbalance.NewWeightedRandomWithAliasMethodBalancer(), in), tb.Context()
	p := k.lb.GetPicker(k.result)
	d := k.drawn(tb)
	d.pick = func() { p.Next(ctx, nil) }
	return d
}

func kitexConsist(tb testing.TB, in []instance) keyed {
	tb.Helper()
	k := newKitex(loadbalance.NewConsistBalancer(loadbalance.NewConsistentHashOption(
		func(_ context.Context, req any) string { return *req.(*string) },
	)), in)
	hot, ctx := keys(hotKeys), tb.Context()
	return keyed{
		pick:  func(i int) { k.pick(ctx, &hot[i]) },
		owner: func(key string) int { return k.index(ctx, &key) },
	}
}
