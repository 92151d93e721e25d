package graylane

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

var userConsumers = registry.Service{Group: announce.Group, Name: "user"}

// consume makes a client a consumer of the service user.
func consume(t *testing.T, c *Client) {
	t.Helper()
	view, err := c.Resolver().View(c.Resolver().Service("user"), "")
	require.NoError(t, err)
	require.NoError(t, view.Ready(soon(t)))
}

// announced waits until what the only consumer announces is as wanted.
func announced(t *testing.T, nacos *nacostest.Server, want func(announce.Announcement) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		all := nacos.Instances(userConsumers)
		return len(all) == 1 && want(announce.Read(all[0].Metadata))
	}, 10*time.Second, 10*time.Millisecond)
}

func TestConsumersAnnounceWhatTheyHaveApplied(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	consumer := open(t, WithServers(nacos.Addr()), WithService(strings.Repeat("订单", 100)), WithVersion("v7"), WithWeight(7),
		WithLabels(map[string]string{"env": "gray", "zone": strings.Repeat("z", 500)}))
	consume(t, consumer)
	announced(t, nacos, func(a announce.Announcement) bool { return a.Rules == announce.Applied{} })
	in := nacos.Instances(userConsumers)[0]
	assert.Zero(t, in.Weight)
	assert.Equal(t, "127.0.0.1", in.IP)
	assert.Empty(t, in.Metadata["zone"], "only what status needs")
	a := announce.Read(in.Metadata)
	assert.Equal(t, "v7", a.Version)
	assert.NotZero(t, a.PID)

	md5 := nacos.Publish(config.DefaultGroup, "gray.user.yaml", "{gray: v1, default: v1}")
	announced(t, nacos, func(a announce.Announcement) bool { return a.Rules.MD5 == announce.Short(md5) && a.Took > 0 })
	refused := nacos.Publish(config.DefaultGroup, "gray.user.yaml", "{gray: v2, default: v1}")
	announced(t, nacos, func(a announce.Announcement) bool {
		return a.Rules == announce.Applied{MD5: announce.Short(md5), Refused: announce.Short(refused), Code: "unsupported-version"}
	})

	// Another connection announces again.
	for _, c := range nacos.Connections() {
		nacos.Disconnect(c.ID)
	}
	announced(t, nacos, func(a announce.Announcement) bool { return a.Rules.Refused == announce.Short(refused) })

	// Two at one address are two, and who ends is gone.
	other := open(t, WithServers(nacos.Addr()))
	consume(t, other)
	_, err := nacos.AwaitInstances(soon(t), userConsumers, 2)
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NoError(t, consumer.Close())
	_, err = nacos.AwaitInstances(soon(t), userConsumers, 0)
	require.NoError(t, err)
}

func TestConsumersThatStartWithoutNacosAnnounceLater(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	cache := t.TempDir()
	one := open(t, WithServers(nacos.Addr()), WithCacheDir(cache))
	consume(t, one)
	require.NoError(t, one.Close())
	nacos.Stop()
	two := open(t, WithServers(nacos.Addr()), WithCacheDir(cache), WithIP("10.9.9.9"))
	three := open(t, WithServers(nacos.Addr()), WithCacheDir(cache))
	consume(t, two)
	consume(t, three)
	require.NoError(t, nacos.Restart(nacostest.WipeData))
	all, err := nacos.AwaitInstances(soon(t), userConsumers, 2)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"10.9.9.9", "127.0.0.1"}, []string{all[0].IP, all[1].IP})
}

func TestNobodyIsAnnouncedWhoDoesNotConsumeOrWantIt(t *testing.T) {
	nacos := nacostest.Run(t)
	quiet := open(t, WithServers(nacos.Addr()), WithoutAnnouncements())
	consume(t, quiet)
	provider := open(t, WithServers(nacos.Addr()))
	reg, err := provider.Register(t.Context(), user, registry.NewInstance("127.0.0.1:8080"))
	require.NoError(t, err)
	require.NoError(t, reg.Ready(soon(t)))
	loud := open(t, WithServers(nacos.Addr()))
	consume(t, loud)
	all, err := nacos.AwaitInstances(soon(t), userConsumers, 1)
	require.NoError(t, err)
	assert.Len(t, all, 1)
}

func TestAnnouncementsThatNacosRefusesAreReportedOnce(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Register(user, nacostest.NewInstance("10.0.0.1", 80, nil))
	refusals := make(chan nacostest.Request, 100)
	nacos.Intercept(func(r nacostest.Request) nacostest.Action {
		if strings.Contains(r.Type, "InstanceRequest") {
			refusals <- r
			return nacostest.Refuse(403, "no permission")
		}
		return nacostest.Pass()
	})
	errs := make(chan error, 100)
	hooks := resolver.Hooks{OnError: func(_ registry.Service, err error) { errs <- err }}
	consume(t, open(t, WithServers(nacos.Addr()), WithHooks(hooks)))
	for range 4 {
		<-refusals
	}
	require.ErrorContains(t, <-errs, "announce: the status of user may lack this process: ")
	assert.Empty(t, errs, "it was refused again and again")
}
