package registry

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Names that stand where nothing else was said. They are those of Nacos.
const (
	DefaultNamespace = "public"
	DefaultGroup     = "DEFAULT_GROUP"
	DefaultCluster   = "DEFAULT"
)

// Metadata keys that have a meaning here. Providers write them, rules read them.
const (
	KeyVersion  = "version"
	KeyEnv      = "env"
	KeyRegion   = "region"
	KeyZone     = "zone"
	KeyLane     = "lane"
	KeyProtocol = "protocol" // "http" or "grpc"; absent: both
	KeyBoot     = "boot"     // random per client: betrays a restart on the same port
)

// MaxMetadata is the most characters that all keys and values of an instance's
// metadata may have together; Nacos refuses more.
const MaxMetadata = 1024

// ErrClosed says that a registry, a source or a registration was used after its
// Close.
var ErrClosed = errors.New("registry: closed")

// ErrInvalid is in every error about a name or an instance that can never be
// registered or watched.
var ErrInvalid = errors.New("registry: invalid")

// Service names a service. It is comparable.
type Service struct {
	Namespace, Group, Name string
}

// WithDefaults returns s with the default namespace and group where it has none.
func (s Service) WithDefaults() Service {
	if s.Namespace == "" {
		s.Namespace = DefaultNamespace
	}
	if s.Group == "" {
		s.Group = DefaultGroup
	}
	return s
}

// String returns "namespace/group/name".
func (s Service) String() string {
	return s.Namespace + "/" + s.Group + "/" + s.Name
}

// Validate reports a part of the name that Nacos would refuse or misread.
func (s Service) Validate() error {
	if s.Name == "" {
		return fmt.Errorf("%w: a service needs a name", ErrInvalid)
	}
	for part, v := range map[string]string{"namespace": s.Namespace, "group": s.Group, "service": s.Name} {
		if len(v) > 255 {
			return fmt.Errorf("%w: %s %.32q… has more than 255 characters", ErrInvalid, part, v)
		}
		for _, r := range v {
			if !nameRune(r) {
				return fmt.Errorf("%w: %s %q has %q; allowed are letters, digits and any of .:_-", ErrInvalid, part, v, r)
			}
		}
	}
	return nil
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-:", r)
}

// Instance is one running copy of a service. Inside a Snapshot it is read-only.
type Instance struct {
	// ID is "ip:port#cluster": it stays when weight or metadata change.
	ID string
	// Addr is "ip:port".
	Addr string
	// Cluster is the Nacos cluster, DefaultCluster where none was named.
	Cluster string
	// Weight is the share of traffic among instances of one target, in
	// thousandths: 1000 is Nacos's 1.0. 0 takes no traffic.
	Weight uint32
	// Healthy is the registry's opinion.
	Healthy bool
	// Enabled is false while an operator has taken the instance offline.
	Enabled bool
	// Metadata holds the labels that rules can ask for.
	Metadata map[string]string
}

// DefaultWeight is Nacos's 1.0.
const DefaultWeight = 1000

// NewInstance returns an instance at "ip:port" that is healthy, enabled and of
// the default weight and cluster. A Registrar that has a weight of its own
// replaces the default weight by it.
func NewInstance(addr string) Instance {
	return Instance{
		ID: InstanceID(addr, ""), Addr: addr, Cluster: DefaultCluster,
		Weight: DefaultWeight, Healthy: true, Enabled: true,
	}
}

// InstanceID returns the identity of the instance at addr in a cluster.
func InstanceID(addr, cluster string) string {
	if cluster == "" {
		cluster = DefaultCluster
	}
	return addr + "#" + cluster
}

// Label returns a label of the instance: its metadata, and for "cluster" its
// Nacos cluster where the metadata has none.
func (in *Instance) Label(name string) (string, bool) {
	v, ok := in.Metadata[name]
	if !ok && name == "cluster" {
		return in.Cluster, in.Cluster != ""
	}
	return v, ok
}

// Version returns the label "version", "" where there is none.
func (in *Instance) Version() string { return in.Metadata[KeyVersion] }

// Speaks reports whether the instance serves a protocol, "http" or "grpc": one that
// does not say which serves both. Every instance serves "".
func (in *Instance) Speaks(protocol string) bool {
	p := in.Metadata[KeyProtocol]
	return p == "" || protocol == "" || p == protocol
}

// Validate reports what would keep the instance from being registered.
func (in *Instance) Validate() error {
	addr, err := netip.ParseAddrPort(in.Addr)
	switch {
	case err != nil:
		return fmt.Errorf("%w: instance address %q: want ip:port", ErrInvalid, in.Addr)
	case addr.Port() == 0:
		return fmt.Errorf("%w: instance address %q: port 0", ErrInvalid, in.Addr)
	case addr.Addr().IsUnspecified():
		return fmt.Errorf("%w: instance address %q: consumers cannot connect to %s; name the address they can reach",
			ErrInvalid, in.Addr, addr.Addr())
	}
	for _, r := range in.Cluster {
		if !nameRune(r) {
			return fmt.Errorf("%w: cluster %q has %q", ErrInvalid, in.Cluster, r)
		}
	}
	if in.Weight > MaxWeight {
		return fmt.Errorf("%w: weight %d thousandths is above %d", ErrInvalid, in.Weight, MaxWeight)
	}
	n := 0
	for k, v := range in.Metadata {
		if k == "" {
			return fmt.Errorf("%w: metadata has an empty key", ErrInvalid)
		}
		n += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	if n > MaxMetadata {
		return fmt.Errorf("%w: metadata has %d characters, Nacos takes %d", ErrInvalid, n, MaxMetadata)
	}
	return nil
}

// MaxWeight is the largest weight, in thousandths: Nacos's 10,000.
const MaxWeight = 10_000_000

// Weight converts a weight in Nacos's unit to thousandths. A positive weight
// rounds to the nearest thousandth and never to 0; what is not a positive number
// is 0; what is above Nacos's maximum is the maximum.
func Weight(nacos float64) uint32 {
	switch {
	case math.IsNaN(nacos) || nacos <= 0:
		return 0
	case nacos >= MaxWeight/1000:
		return MaxWeight
	}
	return max(1, uint32(math.Round(nacos*1000)))
}
