package bench

import (
	"testing"

	"github.com/polarismesh/polaris-go/pkg/config"
	"github.com/polarismesh/polaris-go/pkg/log"
	"github.com/polarismesh/polaris-go/pkg/model"
	"github.com/polarismesh/polaris-go/pkg/model/local"
	"github.com/polarismesh/polaris-go/pkg/model/pb"
	"github.com/polarismesh/polaris-go/pkg/plugin"
	"github.com/polarismesh/polaris-go/pkg/plugin/loadbalancer"
	"github.com/polarismesh/polaris-go/pkg/plugin/servicerouter"
	"github.com/polarismesh/polaris-go/plugin/loadbalancer/maglev"
	"github.com/polarismesh/polaris-go/plugin/loadbalancer/ringhash"
	"github.com/polarismesh/polaris-go/plugin/loadbalancer/weightedrandom"
	"github.com/polarismesh/polaris-go/plugin/servicerouter/dstmeta"
	apimodel "github.com/polarismesh/specification/source/go/api/v1/model"
	"github.com/polarismesh/specification/source/go/api/v1/service_manage"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// polaris-go's plugins are driven as its engine does, but without the engine: no
// copy of the request, no statistics, no circuit breaker. Weights are whole numbers.
type polaris struct {
	tb  testing.TB
	svc *pb.ServiceInstancesInProto
	lb  loadbalancer.LoadBalancer
	at  map[string]int
}

// polarisPlugin makes a plugin ready with the default configuration.
func polarisPlugin(tb testing.TB, p plugin.Plugin) {
	tb.Helper()
	log.SetBaseLogger(silence{})
	require.NoError(tb, p.Init(&plugin.InitContext{Config: config.NewDefaultConfiguration([]string{"127.0.0.1:1"})}))
}

func newPolaris(tb testing.TB, lb loadbalancer.LoadBalancer, in []instance) *polaris {
	tb.Helper()
	polarisPlugin(tb, lb)
	return &polaris{tb, polarisInstances(polarisResponse(in)), lb, byAddr(in)}
}

// polarisResponse is a list as the server sends it.
func polarisResponse(in []instance) *service_manage.DiscoverResponse {
	resp := &service_manage.DiscoverResponse{
		Code: wrapperspb.UInt32(uint32(apimodel.Code_ExecuteSuccess)),
		Service: &service_manage.Service{
			Namespace: wrapperspb.String("default"), Name: wrapperspb.String(service), Revision: wrapperspb.String("1"),
		},
	}
	for i := range in {
		resp.Instances = append(resp.Instances, &service_manage.Instance{
			Id: wrapperspb.String(in[i].addr()), Host: wrapperspb.String(in[i].host), Port: wrapperspb.UInt32(uint32(in[i].port)),
			Weight: wrapperspb.UInt32(uint32(in[i].whole())), Healthy: wrapperspb.Bool(true),
			Metadata: map[string]string{"version": in[i].version},
		})
	}
	return resp
}

func polarisInstances(resp *service_manage.DiscoverResponse) *pb.ServiceInstancesInProto {
	return pb.NewServiceInstancesInProto(resp, func(string) local.InstanceLocalValue {
		return local.NewInstanceLocalValue()
	}, &pb.SvcPluginValues{}, nil)
}

// choose picks by c, whose cluster is the whole service.
func (p *polaris) choose(c *loadbalancer.Criteria) model.Instance {
	c.Cluster = model.NewCluster(p.svc.GetServiceClusters(), nil)
	c.Cluster.IncludeHalfOpen = true // as the proxy of its balancers does
	in, err := p.lb.ChooseInstance(c, p.svc)
	if err != nil {
		p.tb.Error(err)
		return nil
	}
	c.Cluster.PoolPut()
	return in
}

func (p *polaris) index(in model.Instance) int { return p.at[in.GetId()] }

func polarisWeightedRandom(tb testing.TB, in []instance) drawn {
	tb.Helper()
	p := newPolaris(tb, &weightedrandom.WRLoadBalancer{}, in)
	resp := polarisResponse(in)
	return drawn{
		pick:    func() { p.choose(&loadbalancer.Criteria{}) },
		index:   func() int { return p.index(p.choose(&loadbalancer.Criteria{})) },
		rebuild: func() { p.svc = polarisInstances(resp) },
	}
}

func polarisKeyed(tb testing.TB, lb loadbalancer.LoadBalancer, in []instance) keyed {
	tb.Helper()
	p := newPolaris(tb, lb, in)
	hot := make([][]byte, hotKeys)
	for i, k := range keys(hotKeys) {
		hot[i] = []byte(k)
	}
	return keyed{
		pick: func(i int) { p.choose(&loadbalancer.Criteria{HashKey: hot[i]}) },
		owner: func(key string) int {
			return p.index(p.choose(&loadbalancer.Criteria{HashKey: []byte(key)}))
		},
	}
}

func polarisMaglev(tb testing.TB, in []instance) keyed {
	tb.Helper()
	return polarisKeyed(tb, &maglev.MaglevLoadBalancer{}, in)
}

func polarisRingHash(tb testing.TB, in []instance) keyed {
	tb.Helper()
	return polarisKeyed(tb, &ringhash.KetamaLoadBalancer{}, in)
}

// polarisDst is the filter by the metadata that the caller asks for.
type polarisDst struct {
	*polaris
	router *dstmeta.InstancesFilter
}

func newPolarisDst(tb testing.TB, in []instance) *polarisDst {
	tb.Helper()
	p := &polarisDst{newPolaris(tb, &weightedrandom.WRLoadBalancer{}, in), &dstmeta.InstancesFilter{}}
	polarisPlugin(tb, p.router)
	return p
}

func polarisRoute(version string) *servicerouter.RouteInfo {
	return &servicerouter.RouteInfo{DestService: &model.ServiceInfo{
		Namespace: "default", Service: service, Metadata: map[string]string{"version": version},
	}}
}

func (p *polarisDst) choose(route *servicerouter.RouteInfo) model.Instance {
	all := model.NewCluster(p.svc.GetServiceClusters(), nil)
	result, err := p.router.GetFilteredInstances(route, p.svc.GetServiceClusters(), all)
	if err != nil {
		p.tb.Error(err)
		return nil
	}
	all.PoolPut()
	c := &loadbalancer.Criteria{Cluster: result.OutputCluster}
	c.Cluster.IncludeHalfOpen = true
	in, err := p.lb.ChooseInstance(c, p.svc)
	if err != nil {
		p.tb.Error(err)
		return nil
	}
	c.Cluster.PoolPut()
	servicerouter.GetRouteResultPool().Put(result)
	return in
}

// polarisDstMeta has the version decided by the caller already: it evaluates no
// rules.
func polarisDstMeta(tb testing.TB, in []instance) keyed {
	tb.Helper()
	p := newPolarisDst(tb, in)
	routes := make([]*servicerouter.RouteInfo, 16)
	for i := range routes {
		routes[i] = polarisRoute("v" + string(rune('0'+i%10)))
	}
	return keyed{
		pick:  func(i int) { p.choose(routes[i&15]) },
		owner: func(version string) int { return p.index(p.choose(polarisRoute(version))) },
	}
}

// silence is a log.Logger that says nothing: without one polaris-go dereferences nil.
type silence struct{}

func (silence) Tracef(string, ...any)   {}
func (silence) Debugf(string, ...any)   {}
func (silence) Infof(string, ...any)    {}
func (silence) Warnf(string, ...any)    {}
func (silence) Errorf(string, ...any)   {}
func (silence) Fatalf(string, ...any)   {}
func (silence) IsLevelEnabled(int) bool { return false }
func (silence) SetLogLevel(int) error   { return nil }
