package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nacos-group/nacos-sdk-go/v2/clients" //nolint:depguard // the peer itself
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
	"github.com/stretchr/testify/require"
)

// nacosSelectOne is fed from the SDK's disk cache; its server does not answer, and
// is not asked. Weights are Nacos's, with fractions.
func nacosSelectOne(tb testing.TB, in []instance) drawn {
	tb.Helper()
	dir, at := tb.TempDir(), byAddr(in)
	svc := model.Service{Name: service, GroupName: constant.DEFAULT_GROUP, LastRefTime: 1, Valid: true}
	for i := range in {
		svc.Hosts = append(svc.Hosts, model.Instance{
			InstanceId: in[i].addr(), Ip: in[i].host, Port: uint64(in[i].port), Weight: in[i].weight,
			Healthy: true, Enable: true, Ephemeral: true, ClusterName: "DEFAULT", ServiceName: service,
			Metadata: map[string]string{"version": in[i].version},
		})
	}
	text, err := json.Marshal(svc)
	require.NoError(tb, err)
	cache := filepath.Join(dir, "naming", constant.DEFAULT_NAMESPACE_ID)
	require.NoError(tb, os.MkdirAll(cache, 0o700))
	require.NoError(tb, os.WriteFile(filepath.Join(cache, service), text, 0o600))

	client, err := clients.NewNamingClient(vo.NacosClientParam{
		ClientConfig: &constant.ClientConfig{
			CacheDir: dir, LogDir: dir, LogLevel: "error", TimeoutMs: 1000,
		},
		ServerConfigs: []constant.ServerConfig{{IpAddr: "127.0.0.1", Port: 1}},
	})
	require.NoError(tb, err)
	tb.Cleanup(client.CloseClient)
	pick := func() *model.Instance {
		one, err := client.SelectOneHealthyInstance(vo.SelectOneHealthInstanceParam{ServiceName: service})
		if err != nil {
			tb.Error(err)
		}
		return one
	}
	return drawn{
		pick: func() { pick() },
		index: func() int {
			one := pick()
			return at[instance{host: one.Ip, port: int(one.Port)}.addr()]
		},
		rebuild: func() {}, // it keeps nothing between picks
	}
}
