package nacostest

import (
	"cmp"
	"maps"
	"net"
	"strconv"

	"github.com/graylane/graylane/registry"
)

// Instance is one instance of a service, as Nacos holds it.
type Instance struct {
	IP   string
	Port int
	// Cluster is "DEFAULT" where none was named.
	Cluster string
	// Weight is in Nacos's unit: 1 is the usual one.
	Weight                      float64
	Healthy, Enabled, Ephemeral bool
	Metadata                    map[string]string

	// id is what the provider named itself; nobody else has one.
	id string
}

// NewInstance returns an instance that is healthy, enabled, ephemeral and of
// weight 1 in the cluster "DEFAULT".
func NewInstance(ip string, port int, metadata map[string]string) Instance {
	return Instance{
		IP: ip, Port: port, Cluster: registry.DefaultCluster, Weight: 1,
		Healthy: true, Enabled: true, Ephemeral: true, Metadata: metadata,
	}
}

// ID returns "ip:port#cluster".
func (in Instance) ID() string {
	return net.JoinHostPort(in.IP, strconv.Itoa(in.Port)) + "#" + cmp.Or(in.Cluster, registry.DefaultCluster)
}

func (in Instance) equal(o Instance) bool {
	return in.ID() == o.ID() && in.Weight == o.Weight && in.Healthy == o.Healthy && in.Enabled == o.Enabled &&
		in.Ephemeral == o.Ephemeral && in.id == o.id && maps.Equal(in.Metadata, o.Metadata)
}

// httpPublisher is who registers an instance without a connection.
func httpPublisher(in Instance) publisher {
	return publisher{addr: net.JoinHostPort(in.IP, strconv.Itoa(in.Port)) + "#" + strconv.FormatBool(in.Ephemeral)}
}

// normal fills in the cluster.
func (in Instance) normal() Instance {
	in.Cluster = cmp.Or(in.Cluster, registry.DefaultCluster)
	return in
}
