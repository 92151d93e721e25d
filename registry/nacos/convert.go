package nacos

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/nacos-group/nacos-sdk-go/v2/model"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

const (
	// maxReported is the most unusable hosts of one list that an error spells out.
	maxReported = 3
	// maxListed is the most instances of one list that are used.
	maxListed = 20_000
	// maxLabels and maxLabelBytes bound the metadata of an instance that we keep.
	// Nacos itself takes 1,024 characters.
	maxLabels     = 64
	maxLabelBytes = 4 << 10
	maxCluster    = 255 // characters of a cluster's name
)

// instances converts a list; near says that the server is on this machine's loopback
// interface. What is left out makes up the error: hosts that nobody can or should
// connect to, labels and instances that are too many.
func instances(hosts []nacosconn.Host, near bool) ([]registry.Instance, error) {
	if len(hosts) > maxListed { // which ones are used must not depend on the order
		slices.SortStableFunc(hosts, func(a, b nacosconn.Host) int {
			return cmp.Or(strings.Compare(a.IP, b.IP), cmp.Compare(a.Port, b.Port), strings.Compare(a.Cluster, b.Cluster))
		})
	}
	list := make([]registry.Instance, 0, min(len(hosts), maxListed))
	var unusable, cut, surplus findings
	for i := range hosts {
		if len(list) == maxListed {
			surplus.n = len(hosts) - i
			break
		}
		in, err := instance(&hosts[i], near)
		if err != nil {
			unusable.add(err)
			continue
		}
		if metadata, whole := bounded(in.Metadata); !whole {
			in.Metadata = metadata
			cut.add(errors.New(in.ID))
		}
		list = append(list, in)
	}
	var errs []error
	if unusable.n > 0 {
		errs = append(errs, fmt.Errorf("nacos: %d instances left out: %w", unusable.n, errors.Join(unusable.first...)))
	}
	if cut.n > 0 {
		errs = append(errs, fmt.Errorf("nacos: metadata of %d instances cut to %d labels and %d bytes: %w",
			cut.n, maxLabels, maxLabelBytes, errors.Join(cut.first...)))
	}
	if surplus.n > 0 {
		errs = append(errs, fmt.Errorf("nacos: a list of %d instances is too long; %d left out", len(hosts), surplus.n))
	}
	return list, errors.Join(errs...)
}

// findings are some of one kind, the first spelled out.
type findings struct {
	n     int
	first []error
}

func (f *findings) add(err error) {
	f.n++
	if f.n <= maxReported {
		f.first = append(f.first, err)
	}
}

func instance(h *nacosconn.Host, near bool) (registry.Instance, error) {
	ip, err := netip.ParseAddr(h.IP)
	switch {
	case err != nil:
		return registry.Instance{}, fmt.Errorf("%w: %.64q is not an IP address", registry.ErrInvalid, h.IP)
	case h.Port < 1 || h.Port > 65535:
		return registry.Instance{}, fmt.Errorf("%w: port %d of %.64s", registry.ErrInvalid, h.Port, ip)
	case len(h.Cluster) > maxCluster:
		return registry.Instance{}, fmt.Errorf("%w: cluster %.64q… of %.64s", registry.ErrInvalid, h.Cluster, ip)
	}
	if why := foreign(ip, near); why != "" {
		return registry.Instance{}, fmt.Errorf("%w: %.64s is %s", registry.ErrInvalid, ip, why)
	}
	in := registry.NewInstance(netip.AddrPortFrom(ip, uint16(h.Port)).String())
	if h.Cluster != "" {
		in.Cluster = h.Cluster
		in.ID = registry.InstanceID(in.Addr, in.Cluster)
	}
	in.Weight = registry.Weight(float64(h.Weight))
	in.Healthy, in.Enabled = h.Healthy, h.Enabled
	in.Metadata = h.Metadata
	return in, nil
}

// foreign says why nobody should connect to an address because a registry names it:
// whoever may register could otherwise have our requests, with what they carry, sent
// to services that trust whoever is near.
func foreign(ip netip.Addr, near bool) string {
	switch bare := ip.Unmap(); {
	case bare.IsUnspecified():
		return "no address to connect to"
	case bare.IsLinkLocalUnicast(), bare.Zone() != "":
		return "link-local"
	case bare.IsMulticast(), bare == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "no address of one machine"
	case bare.IsLoopback() && !near:
		return "a loopback address, and the Nacos server is on another machine"
	case metadataServices[bare]:
		return "a cloud's metadata service"
	}
	return ""
}

// metadataServices are those that are not link-local.
var metadataServices = map[netip.Addr]bool{ //nolint:gochecknoglobals // never changed
	netip.MustParseAddr("fd00:ec2::254"):   true, // AWS
	netip.MustParseAddr("fd20:ce::254"):    true, // Google
	netip.MustParseAddr("100.100.100.200"): true, // Alibaba
	netip.MustParseAddr("168.63.129.16"):   true, // Azure
	netip.MustParseAddr("192.0.0.192"):     true, // Oracle
}

// bounded returns the metadata that we keep, and whether that is all of it. Labels
// that have a meaning here go first, the others by their names.
func bounded(metadata map[string]string) (map[string]string, bool) {
	size := 0
	for k, v := range metadata {
		size += len(k) + len(v)
	}
	if len(metadata) <= maxLabels && size <= maxLabelBytes {
		return metadata, true
	}
	kept := make(map[string]string, maxLabels)
	size = 0
	for _, k := range append(meaningful(), slices.Sorted(maps.Keys(metadata))...) {
		v, ok := metadata[k]
		if _, twice := kept[k]; !ok || twice || size+len(k)+len(v) > maxLabelBytes {
			continue
		}
		kept[k] = v
		size += len(k) + len(v)
		if len(kept) == maxLabels {
			break
		}
	}
	return kept, false
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
