package nacos

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

func TestAddressesThatNobodyShouldConnectToAreLeftOut(t *testing.T) {
	const never, near, always = 0, 1, 2
	for ip, when := range map[string]int{
		"10.0.0.1": always, "192.168.1.1": always, "8.8.8.8": always, "fd00::1": always, "2001:db8::1": always, "::ffff:10.0.0.1": always,
		"127.0.0.1": near, "127.8.8.8": near, "::1": near, "::ffff:127.0.0.1": near,
		"169.254.169.254": never, "169.254.0.1": never, "::ffff:169.254.169.254": never, "fe80::1": never, "fe80::1%eth0": never,
		"fd00:ec2::254": never, "FD00:EC2:0::254": never, "fd00:ec2::254%1": never, "fd20:ce::254": never,
		"100.100.100.200": never, "::ffff:100.100.100.200": never, "168.63.129.16": never, "192.0.0.192": never,
		"0.0.0.0": never, "::": never, "::ffff:0.0.0.0": never, "::1%lo": never,
		"224.0.0.1": never, "239.1.1.1": never, "ff02::1": never, "255.255.255.255": never,
		"": never, "localhost": never, "user@10.0.0.1": never, "http://10.0.0.1": never, "10.0.0.1/": never,
		"10.0.0.1:80": never, "[::1]": never, "010.0.0.1": never, "2130706433": never, "0x7f.1": never, "10.0.0.1\n": never,
	} {
		for here, nearby := range map[int]bool{always: false, near: true} {
			_, err := instance(&nacosconn.Host{IP: ip, Port: 80}, nearby)
			if when >= here {
				assert.NoError(t, err, "%q %v", ip, nearby)
			} else {
				assert.ErrorIs(t, err, registry.ErrInvalid, "%q %v", ip, nearby)
			}
		}
	}
}

func hosts(n int) []nacosconn.Host {
	list := make([]nacosconn.Host, n)
	for i := range list {
		list[i] = nacosconn.Host{IP: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String(), Port: 80, Weight: 1}
	}
	return list
}

func TestListIsCutAtTheSameInstancesWhateverItsOrder(t *testing.T) {
	all, err := instances(hosts(maxListed), false)
	require.NoError(t, err)
	assert.Len(t, all, maxListed)

	tooMany := hosts(maxListed + 1)
	forth, err := instances(tooMany, false)
	require.EqualError(t, err, "nacos: a list of 20001 instances is too long; 1 left out")
	tooMany[0], tooMany[maxListed] = tooMany[maxListed], tooMany[0]
	back, err := instances(tooMany, false)
	require.Error(t, err)
	assert.Len(t, forth, maxListed)
	assert.Equal(t, forth, back)
}

func TestMetadataIsCutAndTheInstanceKept(t *testing.T) {
	many := map[string]string{registry.KeyVersion: "v1", registry.KeyZone: "z"}
	for i := range 10 * maxLabels {
		many[fmt.Sprintf("a%03d", i)] = "x"
	}
	long := map[string]string{registry.KeyVersion: strings.Repeat("v", maxLabelBytes), registry.KeyLane: "gray"}
	full := map[string]string{"k": strings.Repeat("v", maxLabelBytes-1)}
	list, err := instances([]nacosconn.Host{
		{IP: "10.0.0.1", Port: 80, Metadata: many},
		{IP: "10.0.0.2", Port: 80, Metadata: long},
		{IP: "10.0.0.3", Port: 80, Metadata: full},
	}, false)
	require.EqualError(t, err, "nacos: metadata of 2 instances cut to 64 labels and 4096 bytes: 10.0.0.1:80#DEFAULT\n10.0.0.2:80#DEFAULT")
	require.Len(t, list, 3)
	assert.Len(t, list[0].Metadata, maxLabels)
	assert.Equal(t, "v1", list[0].Version())
	assert.Contains(t, list[0].Metadata, "a061")
	assert.NotContains(t, list[0].Metadata, "a062", "in order of names")
	assert.Equal(t, map[string]string{registry.KeyLane: "gray"}, list[1].Metadata)
	assert.Equal(t, full, list[2].Metadata)
}

func TestErrorsAboutHostsAreShort(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	_, err := instances([]nacosconn.Host{
		{IP: long, Port: 80}, {IP: "fe80::1%" + long, Port: 80}, {IP: "fe80::1%" + long}, {IP: "10.0.0.1", Port: 80, Cluster: long},
	}, false)
	require.ErrorContains(t, err, "4 instances left out")
	assert.Less(t, len(err.Error()), 1000)
}

func FuzzInstances(f *testing.F) {
	f.Add(`{"hosts":[{"ip":"10.0.0.1","port":80,"weight":1.5,"healthy":true,"enabled":true,"clusterName":"c","metadata":{"version":"v1"}}]}`, 0, 0, false)
	f.Add(`{"hosts":[{"ip":"10.0.0.1","port":0},{"ip":"10.0.0.1","port":70000},{"ip":"10.0.0.1","port":-1},{"ip":"10.0.0.1","port":1e3}]}`, 0, 0, true)
	f.Add(`{"hosts":[{"ip":null,"port":null,"weight":null,"metadata":null,"clusterName":null},null,{}]}`, 1, 1, false)
	f.Add(`{"hosts":[{"ip":"10.0.0.1","port":80,"weight":"NaN"},{"ip":"10.0.0.1","port":80,"weight":1e999},{"ip":"10.0.0.1","port":80,"weight":-1}]}`, 0, 100, false)
	f.Add(`{"hosts":[{"ip":"127.0.0.1","port":80},{"ip":"::ffff:169.254.169.254","port":80},{"ip":"fe80::1%x","port":80},{"ip":"fd00:ec2::254","port":80}]}`, 100, 0, false)
	f.Add(`{"hosts":[{"ip":"10.0.0.1","port":80,"metadata":{"":"","a":"b","version":"v1"}}]}`, 0, 1000, true)
	f.Fuzz(func(t *testing.T, body string, copies, labels int, near bool) {
		var info nacosconn.ServiceInfo
		_ = json.Unmarshal([]byte(body), &info) // what could be read of it
		if len(info.Hosts) > 0 {
			first := &info.Hosts[0]
			if first.Metadata == nil {
				first.Metadata = map[string]string{}
			}
			for i := range min(max(labels, 0), 2*maxLabels) {
				first.Metadata[strconv.Itoa(i)] = body
			}
			for range min(max(copies, 0), 100) {
				info.Hosts = append(info.Hosts, info.Hosts[0])
			}
		}
		list, err := instances(info.Hosts, near)
		require.LessOrEqual(t, len(list), maxListed)
		if len(list) < len(info.Hosts) {
			require.Error(t, err)
		}
		if err != nil {
			require.Less(t, len(err.Error()), 4000)
		}
		for i := range list {
			checkInstance(t, &list[i], near)
		}
		s := registry.NewSnapshot(registry.Service{}, 0, list)
		for i := 1; i < s.Len(); i++ {
			require.Less(t, s.At(i-1).ID, s.At(i).ID)
		}
		require.Equal(t, len(list), s.Len()+s.Duplicates())
	})
}

// checkInstance checks what the rest of the program relies on.
func checkInstance(t *testing.T, in *registry.Instance, near bool) {
	t.Helper()
	addr, err := netip.ParseAddrPort(in.Addr)
	require.NoError(t, err)
	ip := addr.Addr().Unmap()
	require.NotZero(t, addr.Port())
	require.Empty(t, ip.Zone())
	require.False(t, ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast(), in.Addr)
	require.False(t, ip.IsLoopback() && !near, in.Addr)
	require.LessOrEqual(t, in.Weight, uint32(registry.MaxWeight))
	require.Equal(t, registry.InstanceID(in.Addr, in.Cluster), in.ID)
	require.LessOrEqual(t, len(in.Cluster), maxCluster)
	require.LessOrEqual(t, len(in.Metadata), maxLabels)
	size := 0
	for k, v := range in.Metadata {
		size += len(k) + len(v)
	}
	require.LessOrEqual(t, size, maxLabelBytes)
}

func TestWeightsOfAnyKindAreClamped(t *testing.T) {
	for in, want := range map[float64]uint32{
		math.Inf(1): registry.MaxWeight, math.Inf(-1): 0, -1: 0, 1e9: registry.MaxWeight, 0.0001: 1,
	} {
		got, err := instance(&nacosconn.Host{IP: "10.0.0.1", Port: 80, Weight: nacosconn.Float(in)}, false)
		require.NoError(t, err)
		assert.Equal(t, want, got.Weight, in)
	}
	got, err := instance(&nacosconn.Host{IP: "10.0.0.1", Port: 80, Weight: nacosconn.Float(math.NaN())}, false)
	require.NoError(t, err)
	assert.Zero(t, got.Weight)
}
