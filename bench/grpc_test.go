package bench

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	estats "google.golang.org/grpc/experimental/stats"
	gresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// fakeClientConn stands for gRPC's ClientConn: its connections become ready when
// they are told to, without a network.
//
// A policy rebuilds its picker whenever a connection becomes ready, but not while it
// takes a list. So, unless hold is set, a connection becomes ready when the next one
// is asked for, which is within that time: otherwise a long list takes minutes. The
// policies under it are gRPC's own, unchanged.
type fakeClientConn struct {
	gbalancer.ClientConn // nil: what is not here is never called

	hold bool

	// mu guards what follows; nothing is called under it.
	mu      sync.Mutex
	state   gbalancer.State
	waiting []*fakeSubConn // asked to connect, not yet ready
	gone    []*fakeSubConn // shut down, which their policy is not told yet
	asked   chan struct{}  // of capacity 1: there is a new one
}

func newFakeClientConn() *fakeClientConn {
	return &fakeClientConn{asked: make(chan struct{}, 1)}
}

func (c *fakeClientConn) NewSubConn(addrs []gresolver.Address, o gbalancer.NewSubConnOptions) (gbalancer.SubConn, error) {
	return &fakeSubConn{cc: c, addr: addrs[0].Addr, listen: o.StateListener}, nil
}

func (c *fakeClientConn) UpdateState(s gbalancer.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
}

func (c *fakeClientConn) picker() gbalancer.Picker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Picker
}

func (*fakeClientConn) ResolveNow(gresolver.ResolveNowOptions)                 {}
func (*fakeClientConn) Target() string                                         { return service }
func (*fakeClientConn) MetricsRecorder() estats.MetricsRecorder                { return nowhere{} }
func (*fakeClientConn) RemoveSubConn(gbalancer.SubConn)                        {}
func (*fakeClientConn) UpdateAddresses(gbalancer.SubConn, []gresolver.Address) {}

// nowhere records no metrics.
type nowhere struct {
	estats.UnimplementedMetricsRecorder
}

// take returns the connections that wait, and forgets them.
func (c *fakeClientConn) take() []*fakeSubConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.waiting
	c.waiting = nil
	return waiting
}

// settle makes all connections ready, tells of those that are gone, and returns how
// many became ready.
func (c *fakeClientConn) settle() int {
	waiting := c.take()
	for _, sc := range waiting {
		sc.ready()
	}
	c.mu.Lock()
	gone := c.gone
	c.gone = nil
	c.mu.Unlock()
	for _, sc := range gone {
		sc.listen(gbalancer.SubConnState{ConnectivityState: connectivity.Shutdown})
	}
	return len(waiting)
}

type fakeSubConn struct {
	gbalancer.SubConn // nil: what is not here is never called

	cc     *fakeClientConn
	addr   string
	listen func(gbalancer.SubConnState)
	health func(gbalancer.SubConnState)
}

// Connect is called under the lock of the policy that has this connection, so that
// it can tell only of others.
func (s *fakeSubConn) Connect() {
	var before []*fakeSubConn
	if !s.cc.hold {
		before = s.cc.take()
	}
	s.cc.mu.Lock()
	s.cc.waiting = append(s.cc.waiting, s)
	s.cc.mu.Unlock()
	for _, sc := range before {
		sc.ready()
	}
	select {
	case s.cc.asked <- struct{}{}:
	default:
	}
}

// ready goes through the states of a connection that succeeds.
func (s *fakeSubConn) ready() {
	s.listen(gbalancer.SubConnState{ConnectivityState: connectivity.Connecting})
	s.listen(gbalancer.SubConnState{ConnectivityState: connectivity.Ready})
	if s.health != nil {
		s.health(gbalancer.SubConnState{ConnectivityState: connectivity.Ready})
	}
}

func (s *fakeSubConn) RegisterHealthListener(fn func(gbalancer.SubConnState)) { s.health = fn }

// Shutdown is called under the same lock as Connect.
func (s *fakeSubConn) Shutdown() {
	s.cc.mu.Lock()
	defer s.cc.mu.Unlock()
	s.cc.gone = append(s.cc.gone, s)
}

// grpcPolicy is a policy of gRPC's registry over a fakeClientConn.
type grpcPolicy struct {
	cc     *fakeClientConn
	lb     gbalancer.Balancer
	config serviceconfig.LoadBalancingConfig
	at     map[string]int
}

// newGRPC starts a policy, without a list.
func newGRPC(tb testing.TB, name, config string) *grpcPolicy {
	tb.Helper()
	p := &grpcPolicy{cc: newFakeClientConn()}
	b := gbalancer.Get(name)
	require.NotNil(tb, b, name)
	p.lb = b.Build(p.cc, gbalancer.BuildOptions{})
	tb.Cleanup(p.lb.Close)
	if parser, ok := b.(gbalancer.ConfigParser); ok {
		var err error
		p.config, err = parser.ParseConfig([]byte(config))
		require.NoError(tb, err)
	}
	return p
}

// update hands a list over, and waits for its connections if it is not for the
// caller to make them ready.
func (p *grpcPolicy) update(tb testing.TB, list []gresolver.Endpoint, in []instance) {
	tb.Helper()
	p.at = byAddr(in)
	p.list(tb, list)
}

func (p *grpcPolicy) list(tb testing.TB, list []gresolver.Endpoint) {
	tb.Helper()
	s := gbalancer.ClientConnState{ResolverState: gresolver.State{Endpoints: list}, BalancerConfig: p.config}
	require.NoError(tb, p.lb.UpdateClientConnState(s))
	if !p.cc.hold {
		p.cc.settle()
	}
}

// index is which of the list a result goes to.
func (p *grpcPolicy) index(r gbalancer.PickResult) int { return p.at[r.SubConn.(*fakeSubConn).addr] }

// endpoints is a list as a resolver brings it.
func endpoints(in []instance) []gresolver.Endpoint {
	out := make([]gresolver.Endpoint, len(in))
	for i := range in {
		out[i].Addresses = []gresolver.Address{{Addr: in[i].addr()}}
	}
	return out
}

// await waits until a connection is asked for, and makes it ready.
func (p *grpcPolicy) await(tb testing.TB) {
	tb.Helper()
	if p.cc.settle() > 0 {
		return
	}
	select {
	case <-p.cc.asked:
		p.cc.settle()
	case <-time.After(patience):
		require.Fail(tb, "no connection is asked for")
	}
}
