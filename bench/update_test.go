package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/httplb/conn"
	"github.com/bufbuild/httplb/picker"
	"github.com/cloudwego/kitex/pkg/discovery"
	"github.com/cloudwego/kitex/pkg/loadbalance"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/selector/wrr"
	"github.com/polarismesh/polaris-go/pkg/plugin/loadbalancer"
	"github.com/polarismesh/polaris-go/plugin/loadbalancer/maglev"
	"github.com/polarismesh/specification/source/go/api/v1/service_manage"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/balancer/weightedroundrobin"
	gresolver "google.golang.org/grpc/resolver"

	"github.com/graylane/graylane/registry"
)

// subsets is how many versions the list of an update has.
const subsets = 30

// targetsDoc declares a target for each version.
func targetsDoc(balance string) string {
	var doc strings.Builder
	fmt.Fprintf(&doc, "gray: v1\ndefault: v0\n%stargets:\n", balance)
	for i := range subsets {
		fmt.Fprintf(&doc, "  v%d: {version: v%d}\n", i, i)
	}
	return doc.String()
}

// updater takes a list; it alternates between two, so that each call is a change of
// one instance.
type updater func(testing.TB, [2][]instance) func(i int)

var updaters = []struct {
	name  string
	build updater
	most  int
	// replaced: one instance leaves and another comes. Else one has another weight.
	replaced bool
}{
	{name: "ours", build: oursUpdate("gray: v1\ndefault: v0\n")},
	{name: "ours-targets", build: oursUpdate(targetsDoc(""))},
	{name: "ours-targets-replaced", build: oursUpdate(targetsDoc("")), replaced: true},
	{name: "ours-targets-hash", build: oursUpdate(targetsDoc("balance: {hash: user}\n"))},
	{name: "kitex-alias", build: kitexUpdate(loadbalance.NewWeightedRandomWithAliasMethodBalancer)},
	{name: "kitex-iwrr", build: kitexUpdate(loadbalance.NewInterleavedWeightedRoundRobinBalancer)},
	{name: "kitex-wrr", build: kitexUpdate(loadbalance.NewWeightedRoundRobinBalancer)},
	{name: "kratos-wrr", build: kratosUpdate},
	{name: "httplb-leastloaded", build: httplbUpdate(picker.NewLeastLoadedRoundRobin), replaced: true},
	{name: "polaris-dstMeta", build: polarisUpdate},
	{name: "polaris-maglev", build: polarisMaglevUpdate},
	{name: "grpc-round_robin", build: grpcUpdate(roundrobin.Name, `{}`), replaced: true},
	{name: "grpc-weighted_round_robin", build: grpcUpdate(weightedroundrobin.Name, `{}`), replaced: true},
	{name: "buraksezer", build: buraksezerUpdate, replaced: true, most: 1000},
}

// BenchmarkUpdate is the change of one instance: for ours from the converted list to
// the stored state of a view with thirty subsets, for polaris-go from the server's
// list to thirty subsets, for the others a rebuild of one list.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range sizes() {
		if n < 1000 {
			continue
		}
		for _, u := range inTurn(updaters) {
			if u.most > 0 && n > u.most {
				continue
			}
			b.Run(fmt.Sprintf("%s/N=%d", u.name, n), func(b *testing.B) {
				update := u.build(b, alternating(n, u.replaced))
				runtime.GC()
				b.ReportAllocs()
				i := 1
				for b.Loop() {
					update(i & 1)
					i++
				}
			})
		}
	}
}

// alternating returns two lists that differ in one instance.
func alternating(n int, replaced bool) (lists [2][]instance) {
	for i := range lists {
		lists[i] = versions(mixed(n), subsets)
	}
	changed := &lists[1][n/2]
	if replaced {
		changed.host = "10.99.99.99"
	} else {
		changed.weight += 1.5
	}
	return lists
}

// oursUpdate has its lists converted before. One is used again two updates later,
// with its metadata: nothing changes what is in a snapshot.
func oursUpdate(doc string) updater {
	return func(tb testing.TB, in [2][]instance) func(int) {
		tb.Helper()
		w := newLive(tb, doc, in[0])
		lists := [2][]registry.Instance{registered(in[0]), registered(in[1])}
		return func(i int) { w.update(tb, lists[i]) }
	}
}

func kitexUpdate(build func() loadbalance.Loadbalancer) updater {
	return func(tb testing.TB, in [2][]instance) func(int) {
		tb.Helper()
		lb, ok := build().(loadbalance.Rebalancer)
		require.True(tb, ok)
		changes := [2]discovery.Change{{Result: kitexResult(in[0])}, {Result: kitexResult(in[1])}}
		return func(i int) { lb.Rebalance(changes[i]) }
	}
}

func kratosUpdate(_ testing.TB, in [2][]instance) func(int) {
	s := wrr.New()
	lists := [2][]selector.Node{kratosNodes(in[0]), kratosNodes(in[1])}
	return func(i int) { s.Apply(lists[i]) }
}

// httplbUpdate keeps the connections of the instances that stay, as the client does.
func httplbUpdate(build newPicker) updater {
	return func(_ testing.TB, in [2][]instance) func(int) {
		first := newHTTPLB(in[0])
		second := slices.Clone(first)
		second[len(second)/2] = newHTTPLB(in[1])[len(second)/2]
		conns := [2]conn.Conns{first, second}
		p := build(nil, first)
		return func(i int) { p = build(p, conns[i]) }
	}
}

// polarisUpdate builds the subsets that the next requests would build.
func polarisUpdate(tb testing.TB, in [2][]instance) func(int) {
	tb.Helper()
	p := newPolarisDst(tb, in[0])
	lists := [2]*service_manage.DiscoverResponse{polarisResponse(in[0]), polarisResponse(in[1])}
	return func(i int) {
		p.svc = polarisInstances(lists[i])
		for v := range subsets {
			p.choose(polarisRoute(fmt.Sprint("v", v)))
		}
	}
}

// polarisMaglevUpdate builds the table that the next request would build.
func polarisMaglevUpdate(tb testing.TB, in [2][]instance) func(int) {
	tb.Helper()
	p := newPolaris(tb, &maglev.MaglevLoadBalancer{}, in[0])
	lists := [2]*service_manage.DiscoverResponse{polarisResponse(in[0]), polarisResponse(in[1])}
	return func(i int) {
		p.svc = polarisInstances(lists[i])
		p.choose(&loadbalancer.Criteria{HashKey: []byte("key")})
	}
}

// grpcUpdate is a list with another instance: its connection becomes ready, the old
// one is shut down.
func grpcUpdate(name, config string) updater {
	return func(tb testing.TB, in [2][]instance) func(int) {
		tb.Helper()
		p := newGRPC(tb, name, config)
		lists := [2][]gresolver.Endpoint{endpoints(in[0]), endpoints(in[1])}
		p.update(tb, lists[0], in[0])
		return func(i int) { p.list(tb, lists[i]) }
	}
}

func buraksezerUpdate(_ testing.TB, in [2][]instance) func(int) {
	c := newBuraksezer(in[0])
	changed := len(in[0]) / 2
	names := [2]member{member(in[0][changed].addr()), member(in[1][changed].addr())}
	return func(i int) {
		c.Remove(string(names[1-i]))
		c.Add(names[i])
	}
}
