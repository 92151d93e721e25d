package nacos

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/nacos-group/nacos-sdk-go/v2/model"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

// maxReported is the most unusable hosts of one list that an error spells out.
const maxReported = 3

// instances converts a list. Hosts that nobody could connect to are left out and
// make up the error.
func instances(hosts []nacosconn.Host) ([]registry.Instance, error) {
	list := make([]registry.Instance, 0, len(hosts))
	var errs []error
	bad := 0
	for i := range hosts {
		in, err := instance(&hosts[i])
		if err == nil {
			list = append(list, in)
			continue
		}
		bad++
		if bad <= maxReported {
			errs = append(errs, err)
		}
	}
	if bad > 0 {
		return list, fmt.Errorf("nacos: %d of %d instances left out: %w", bad, len(hosts), errors.Join(errs...))
	}
	return list, nil
}

func instance(h *nacosconn.Host) (registry.Instance, error) {
	ip, err := netip.ParseAddr(h.IP)
	switch {
	case err != nil:
		return registry.Instance{}, fmt.Errorf("%w: %q is not an IP address", registry.ErrInvalid, h.IP)
	case ip.IsUnspecified():
		return registry.Instance{}, fmt.Errorf("%w: nobody can connect to %s", registry.ErrInvalid, ip)
	case h.Port < 1 || h.Port > 65535:
		return registry.Instance{}, fmt.Errorf("%w: port %d of %s", registry.ErrInvalid, h.Port, ip)
	}
	in := registry.NewInstance(netip.AddrPortFrom(ip, uint16(h.Port)).String())
	if h.Cluster != "" {
		in.Cluster = h.Cluster
		in.ID = registry.InstanceID(in.Addr, in.Cluster)
	}
	in.Weight = registry.Weight(h.Weight)
	in.Healthy, in.Enabled = h.Healthy, h.Enabled
	in.Metadata = h.Metadata
	return in, nil
}

// cloned returns a list that shares nothing with the given one.
func cloned(list []registry.Instance) []registry.Instance {
	out := make([]registry.Instance, len(list))
	for i := range list {
		out[i] = list[i]
		out[i].Metadata = maps.Clone(list[i].Metadata)
	}
	return out
}

// announced is the instance in Nacos's form. It was validated.
func announced(in *registry.Instance) model.Instance {
	addr := netip.MustParseAddrPort(in.Addr)
	metadata := in.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return model.Instance{
		Ip: addr.Addr().String(), Port: uint64(addr.Port()), ClusterName: in.Cluster,
		Weight: float64(in.Weight) / 1000, Healthy: in.Healthy, Enable: in.Enabled,
		Ephemeral: true, Metadata: metadata,
	}
}
