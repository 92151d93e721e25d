package bench

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/credentials/insecure"
	gresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// oursPolicy is the name under which grpcx registers its policy.
const oursPolicy = "graylane"

// BenchmarkReady is the time that a policy uses while its endpoints become ready one
// by one, as at the start of a client: cpu-ms is that of the whole process.
func BenchmarkReady(b *testing.B) {
	counts := []int{250, 500, 1000}
	if testing.Short() {
		counts = []int{250}
	}
	for _, n := range counts {
		in := equal(n)
		for _, c := range inTurn([]struct{ name, policy, config string }{
			{"ours", oursPolicy, ""},
			{"grpc-round_robin", roundrobin.Name, `{}`},
			{"grpc-least_request", leastrequest.Name, `{}`},
		}) {
			b.Run(fmt.Sprintf("%s/N=%d", c.name, n), func(b *testing.B) {
				var used time.Duration
				for b.Loop() {
					b.StopTimer()
					p := newReady(b, c.policy, c.config, in)
					before := cpuTime(b)
					b.StartTimer()
					p.readyOneByOne()
					b.StopTimer()
					used += cpuTime(b) - before
					p.lb.Close()
					b.StartTimer()
				}
				b.ReportMetric(used.Seconds()*1e3/float64(b.N), "cpu-ms")
			})
		}
	}
}

// newReady returns a policy that has a list and is connecting to all of it.
func newReady(tb testing.TB, name, config string, in []instance) *grpcPolicy {
	tb.Helper()
	p := newGRPC(tb, name, config)
	p.cc.hold = true
	s := gbalancer.ClientConnState{ResolverState: gresolver.State{Endpoints: endpoints(in)}, BalancerConfig: p.config}
	if name == oursPolicy {
		s.ResolverState.Attributes = oursState(tb, in).Attributes
	}
	require.NoError(tb, p.lb.UpdateClientConnState(s))
	return p
}

// readyOneByOne makes one endpoint after the other ready.
func (p *grpcPolicy) readyOneByOne() int {
	n := 0
	for _, sc := range p.cc.take() {
		sc.ready()
		n++
	}
	return n
}

// oursState is what grpcx's resolver tells its policy: the view of the service, which
// only that resolver can give.
func oursState(tb testing.TB, in []instance) gresolver.State {
	tb.Helper()
	reg := memory.New()
	reg.Set(registry.Service{Name: service}, registered(in)...)
	r, err := resolver.New(reg, nil)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.Close()) })
	view, err := r.View(r.Service(service), "grpc")
	require.NoError(tb, err)
	tb.Cleanup(view.Close)
	require.NoError(tb, view.Ready(tb.Context()))
	cc, err := grpcx.NewClient(r, service, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"`+captureName+`":{}}]}`))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, cc.Close()) })
	capturing.Lock()
	defer capturing.Unlock()
	cc.Connect()
	select {
	case s := <-captured:
		return s
	case <-time.After(patience):
		require.Fail(tb, "grpcx reports no state")
	}
	return gresolver.State{}
}

// capture is a policy that keeps nothing but the first state that a resolver reports.
const captureName = "bench_capture"

var (
	captured  = make(chan gresolver.State, 1)
	capturing sync.Mutex // one test at a time
)

type captureBuilder struct{}

func (captureBuilder) Name() string { return captureName }
func (captureBuilder) Build(gbalancer.ClientConn, gbalancer.BuildOptions) gbalancer.Balancer {
	return &capture{}
}

type capture struct {
	gbalancer.Balancer

	once sync.Once
}

func (c *capture) UpdateClientConnState(s gbalancer.ClientConnState) error {
	c.once.Do(func() { captured <- s.ResolverState })
	return nil
}
func (*capture) ResolverError(error) {}
func (*capture) ExitIdle()           {}
func (*capture) Close()              {}

// visits counts how often a policy asks the pickers of its endpoints outside of a
// call, while counting is set.
var (
	visits   atomic.Int64
	counting atomic.Bool
)

// countingPickfirst is gRPC's pick_first. All policies put it over their endpoints, so
// that it can count how often they look at one.
type countingPickfirst struct{ gbalancer.Builder }

func (b countingPickfirst) ParseConfig(text []byte) (serviceconfig.LoadBalancingConfig, error) {
	return b.Builder.(gbalancer.ConfigParser).ParseConfig(text)
}

func (b countingPickfirst) Build(cc gbalancer.ClientConn, o gbalancer.BuildOptions) gbalancer.Balancer {
	if counting.Load() {
		cc = countingClientConn{cc}
	}
	return b.Builder.Build(cc, o)
}

type countingClientConn struct{ gbalancer.ClientConn }

func (c countingClientConn) UpdateState(s gbalancer.State) {
	s.Picker = countingPicker{s.Picker}
	c.ClientConn.UpdateState(s)
}

type countingPicker struct{ gbalancer.Picker }

func (p countingPicker) Pick(i gbalancer.PickInfo) (gbalancer.PickResult, error) {
	visits.Add(1)
	return p.Picker.Pick(i)
}

func init() { //nolint:gochecknoinits // gRPC allows registration in init only
	gbalancer.Register(captureBuilder{})
	gbalancer.Register(countingPickfirst{gbalancer.Get(pickfirst.Name)})
}

// Our own part of a start is linear: each endpoint is looked at a few times, however
// many there are. (What gRPC does for each change, to all endpoints, is in
// BenchmarkReady.)
func TestReadyLooksAtEachEndpointAFewTimes(t *testing.T) {
	counting.Store(true)
	t.Cleanup(func() { counting.Store(false) })
	for _, n := range []int{250, 500, 1000} {
		visits.Store(0)
		p := newReady(t, oursPolicy, "", equal(n))
		require.Equal(t, n, p.readyOneByOne())
		p.lb.Close()
		looks := visits.Load()
		report(t, row{
			Table:   "Endpoints looked at by our gRPC policy while all become ready one by one",
			Columns: []string{"endpoints", "looks", "each"},
			Cells:   []string{strconv.Itoa(n), strconv.FormatInt(looks, 10), fmt.Sprintf("%.1f", float64(looks)/float64(n))},
			Values:  map[string]float64{fmt.Sprintf("ready/visits/N=%d", n): float64(looks) / float64(n)},
		})
		assert.LessOrEqual(t, looks, int64(8*n), "endpoints looked at, of %d", n)
	}
}
