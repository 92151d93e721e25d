package registry_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

func TestWeight(t *testing.T) {
	for in, want := range map[float64]uint32{
		1: 1000, 0.5: 500, 0: 0, -1: 0, 0.001: 1, 0.0001: 1, 1e-300: 1, 0.0006: 1, 0.0015: 2,
		10_000: 10_000_000, 1e9: 10_000_000, 33.3333: 33_333, math.Inf(1): 10_000_000, math.Inf(-1): 0,
	} {
		assert.Equal(t, want, registry.Weight(in), "%v", in)
	}
	assert.Zero(t, registry.Weight(math.NaN()))
}

func TestSnapshotIsSortedAndHasOneOfEach(t *testing.T) {
	in := []registry.Instance{
		registry.NewInstance("10.0.0.2:1"),
		registry.NewInstance("10.0.0.1:1"),
		{Addr: "10.0.0.2:1", Weight: 5},
		{Addr: "10.0.0.2:1", Cluster: "C1"},
	}
	s := registry.NewSnapshot(registry.Service{Name: "order"}, 7, in)
	assert.Equal(t, 3, s.Len())
	assert.Equal(t, 1, s.Duplicates())
	assert.EqualValues(t, 7, s.Revision())
	assert.Equal(t, "order", s.Service().Name)
	var ids []string
	for i, in := range s.All() {
		assert.Same(t, s.At(i), in)
		ids = append(ids, in.ID)
	}
	assert.Equal(t, []string{"10.0.0.1:1#DEFAULT", "10.0.0.2:1#C1", "10.0.0.2:1#DEFAULT"}, ids)
	assert.EqualValues(t, 5, s.At(2).Weight, "the last of two stays")
	assert.Equal(t, "10.0.0.2:1", in[0].Addr, "the caller's slice is not sorted")
}

func TestSameInstances(t *testing.T) {
	list := func() []registry.Instance {
		in := registry.NewInstance("10.0.0.1:1")
		in.Metadata = map[string]string{"version": "v1"}
		return []registry.Instance{in, registry.NewInstance("10.0.0.2:1")}
	}
	snap := func(l []registry.Instance) *registry.Snapshot {
		return registry.NewSnapshot(registry.Service{Name: "order"}, 1, l)
	}
	base := snap(list())
	other := list()
	other[0], other[1] = other[1], other[0]
	assert.True(t, base.SameInstances(snap(other)), "the order means nothing")
	for name, change := range map[string]func(*registry.Instance){
		"weight":   func(in *registry.Instance) { in.Weight++ },
		"healthy":  func(in *registry.Instance) { in.Healthy = false },
		"enabled":  func(in *registry.Instance) { in.Enabled = false },
		"metadata": func(in *registry.Instance) { in.Metadata["version"] = "v2" },
		"address":  func(in *registry.Instance) { in.Addr, in.ID = "10.0.0.3:1", "" },
	} {
		l := list()
		change(&l[0])
		assert.False(t, base.SameInstances(snap(l)), name)
	}
	assert.False(t, base.SameInstances(snap(list()[:1])))
}

func TestInstanceValidate(t *testing.T) {
	require.NoError(t, valid(registry.NewInstance("10.0.0.1:80")))
	require.NoError(t, valid(registry.NewInstance("[::1]:80")))
	for addr, want := range map[string]string{
		"":            "want ip:port",
		"order:80":    "want ip:port",
		"10.0.0.1":    "want ip:port",
		"10.0.0.1:0":  "port 0",
		"0.0.0.0:80":  "consumers cannot connect",
		"[::]:80":     "consumers cannot connect",
		"10.0.0.1:-1": "want ip:port",
	} {
		err := valid(registry.NewInstance(addr))
		require.ErrorIs(t, err, registry.ErrInvalid, addr)
		require.ErrorContains(t, err, want, addr)
	}
	in := registry.NewInstance("10.0.0.1:80")
	in.Metadata = map[string]string{"k": strings.Repeat("ä", registry.MaxMetadata-1)}
	require.NoError(t, valid(in), "characters, not bytes")
	in.Metadata["k"] += "x"
	require.ErrorContains(t, valid(in), "1025 characters")
	in = registry.NewInstance("10.0.0.1:80")
	in.Weight = registry.MaxWeight + 1
	require.ErrorIs(t, valid(in), registry.ErrInvalid)
	in = registry.NewInstance("10.0.0.1:80")
	in.Cluster = "a b"
	require.ErrorIs(t, valid(in), registry.ErrInvalid)
}

func valid(in registry.Instance) error { return in.Validate() }

func TestServiceValidate(t *testing.T) {
	require.NoError(t, registry.Service{Name: "order-v1.a_b:c"}.WithDefaults().Validate())
	for _, s := range []registry.Service{{}, {Name: "a/b"}, {Name: "a@@b"}, {Name: "a b"}, {Name: "a", Group: "g\n"}, {Name: strings.Repeat("a", 256)}} {
		require.ErrorIs(t, s.Validate(), registry.ErrInvalid, "%v", s)
	}
}

func TestLabelClusterIsTheInstancesOwn(t *testing.T) {
	in := registry.NewInstance("10.0.0.1:80")
	in.Metadata = map[string]string{"version": "v1"}
	v, ok := in.Label("cluster")
	assert.True(t, ok)
	assert.Equal(t, "DEFAULT", v)
	in.Metadata["cluster"] = "own"
	v, _ = in.Label("cluster")
	assert.Equal(t, "own", v, "metadata goes first")
	_, ok = in.Label("env")
	assert.False(t, ok)
	assert.Equal(t, "v1", in.Version())
}

func TestAnInstanceThatDoesNotSayWhichSpeaksAllProtocols(t *testing.T) {
	silent, spoken := registry.NewInstance("10.0.0.1:80"), registry.NewInstance("10.0.0.1:81")
	spoken.Metadata = map[string]string{registry.KeyProtocol: "grpc"}
	for protocol, want := range map[string]bool{"": true, "grpc": true, "http": false} {
		assert.True(t, silent.Speaks(protocol), protocol)
		assert.Equal(t, want, spoken.Speaks(protocol), protocol)
	}
}
