package nacos2

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/integration/nacos"
	registrynacos "github.com/graylane/graylane/registry/nacos"
	"github.com/graylane/graylane/resolver"
)

// TestProvidersAndConsumersLogIn at real servers, whose tokens end soon.
func TestProvidersAndConsumersLogIn(t *testing.T) {
	for version, start := range map[string]func(context.Context, nacos.Options) (*nacos.Node, error){
		nacos.Version: nacos.Start, nacos.VersionV2: nacos.StartV2,
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			node, err := start(t.Context(), nacos.Options{Auth: true, Logf: t.Logf})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, node.Close()) })
			logIn(t, node)
		})
	}
}

func logIn(t *testing.T, node *nacos.Node) {
	t.Helper()
	const user, password = "app", "a-secret"
	addr, login := node.Addr(), graylane.WithCredentials(user, password)

	// Whoever starts before the user is there waits for it, and says so.
	provide(t, addr, "v1", login)
	consumer := open(t, addr, login)
	r := consumer.Resolver()
	view, err := r.View(r.Service(service), "http")
	require.NoError(t, err)
	refused(t, consumer, password)
	require.NoError(t, node.AddUser(within(t), user, password))
	await(t, view, "the provider", func(s *resolver.State) bool { return s.Snapshot.Len() == 1 })
	publisher, err := confignacos.New(confignacos.Config{
		Servers: []string{addr}, Credentials: registrynacos.UserPassword(user, password),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, publisher.Close()) })
	id, first := config.ServiceDocID(service), "gray: v1\ndefault: v1\n"
	require.NoError(t, publisher.Publish(within(t), id, []byte(first), ""))
	is := await(t, view, "the rules", hasRules(""))

	// Everything goes on when the tokens have ended, and the next ones too.
	for _, text := range []string{"gray: v1\ndefault: v2\n", first} {
		<-time.After(nacos.TokenTTL) // of the server's clock, which a test cannot turn
		stop := provide(t, addr, "v2", login)
		await(t, view, "one more provider", func(s *resolver.State) bool { return s.Snapshot.Len() == 2 })
		require.NoError(t, publisher.Publish(within(t), id, []byte(text), is.Revision()))
		is = await(t, view, "other rules", hasRules(is.Revision()))
		assert.Equal(t, map[string]string{"": is.Rules.Default, "v2": is.Rules.Default}, served(t, r))
		stop()
		await(t, view, "the end of it", func(s *resolver.State) bool { return s.Snapshot.Len() == 1 })
	}

	const wrong = "not-the-secret"
	refused(t, open(t, addr, graylane.WithCredentials(user, wrong)), wrong)
}

// refused expects a client to say that its login is, without its secret.
func refused(t *testing.T, c *graylane.Client, secret string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second) // a new server's first login takes long
	defer cancel()
	err := c.Ready(ctx)
	require.ErrorContains(t, err, "login")
	assert.NotContains(t, err.Error(), secret)
}
