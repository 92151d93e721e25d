package bench

import (
	"testing"
	"time"
)

// drawn is a picker that takes no key.
type drawn struct {
	pick    func()     // one pick, as its users make it
	index   func() int // the same, and which of the list it was
	rebuild func()     // the same list comes again, as after a push
}

// keyed is a picker by key.
type keyed struct {
	pick  func(i int)          // by key i of the hot ones
	owner func(key string) int // which of the list a key belongs to; nil: another entry knows
}

// loaded is a picker that is told of the end of each request.
type loaded struct {
	pick  func()                                            // a pick and its end
	begin func() (index int, end func(time.Duration, bool)) // a request that lasts; it is told whether it failed
}

// loadedByKey is a picker by key that is told of the end of each request.
type loadedByKey func(key string) (index int, end func())

// peer is a picker under a name.
type peer[T any] struct {
	name  string
	build func(testing.TB, []instance) T
	// most is the longest list that is worth its time, 0 if there is no end.
	most int
	// equal says that it knows no weights.
	equal bool
}

// runs reports whether the peer takes part with lists of n.
func (p peer[T]) runs(n int) bool {
	return p.most == 0 || n <= p.most
}

var drawnPeers = []peer[drawn]{
	{name: "ours" + cursor, build: oursWeighted},
	{name: "ours-view", build: oursView},
	{name: "kitex-iwrr", build: kitexIWRR},
	{name: "kitex-wrr", build: kitexWRR, most: 1000},
	{name: "kitex-alias", build: kitexAlias},
	{name: "kitex-alias-next", build: kitexAliasNext},
	{name: "grpc-weighted_round_robin", build: grpcWRR},
	{name: "grpc-round_robin", build: grpcRoundRobin, equal: true},
	{name: "httplb-round_robin", build: httplbRoundRobin, equal: true},
	{name: "httplb-random", build: httplbRandom, equal: true},
	{name: "kratos-wrr", build: kratosWRR, most: 1000},
	{name: "polaris-weightedRandom", build: polarisWeightedRandom},
	{name: "nacos-SelectOneHealthyInstance", build: nacosSelectOne, most: 1000},
}

var keyedPeers = []peer[keyed]{
	{name: "ours", build: oursHash},
	{name: "ours-decide", build: oursDecideHash},
	{name: "ours-done", build: oursHashDone},
	{name: "buraksezer", build: buraksezer, most: 1000, equal: true},
	{name: "polaris-maglev", build: polarisMaglev},
	{name: "polaris-ringHash", build: polarisRingHash},
	{name: "grpc-ring_hash", build: grpcRingHash, most: 1000},
	{name: "kitex-consist", build: kitexConsist, most: 1000},
}

var filterPeers = []peer[keyed]{
	{name: "ours" + cursor, build: oursFilter},
	{name: "ours-view", build: oursViewFilter},
	{name: "polaris-dstMeta+weightedRandom", build: polarisDstMeta},
	{name: "kratos-Version+wrr", build: kratosVersion, most: 1000},
}

var loadedPeers = []peer[loaded]{
	{name: "ours" + cursor, build: oursLeast},
	{name: "ours" + cursor + "-clock", build: oursLeastClock},
	{name: "httplb-p2c", build: httplbP2C, equal: true},
	{name: "httplb-leastloaded", build: httplbLeastLoaded, equal: true},
	{name: "grpc-least_request", build: grpcLeastRequest, equal: true},
	{name: "kratos-p2c", build: kratosP2C},
}
