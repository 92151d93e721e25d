package zapx_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/zapx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a config.Source whose documents come from a channel. There is no global
// one.
type source chan string

func (s source) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	if dataID == config.GlobalDocID {
		fn(config.Doc{})
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for {
		select {
		case content := <-s:
			fn(config.Doc{Content: []byte(content), MD5: content, State: config.Present})
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func TestUpdatesAndRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	reg, docs := memory.New(), make(source)
	r, err := resolver.New(reg, docs, resolver.WithHooks(zapx.Hooks(zap.New(core))))
	require.NoError(t, err)
	defer r.Close()
	user := r.Service("user")
	reg.Set(user, registry.NewInstance("127.0.0.1:8080"))
	v, err := r.View(user, "")
	require.NoError(t, err)
	defer v.Close()

	docs <- "gray: v1\nservice: user\ndefault: v1\n"
	require.NoError(t, v.Ready(t.Context()))
	docs <- "gray: v1\nservice: other\ndefault: v1\n"

	byMessage := func(msg string) []observer.LoggedEntry { return logs.FilterMessage(msg).All() }
	require.Eventually(t, func() bool { return len(byMessage("document refused, the last good one stays in force")) > 0 },
		5*time.Second, time.Millisecond)

	updates := byMessage("service updated")
	require.NotEmpty(t, updates)
	last := updates[len(updates)-1]
	assert.Equal(t, zap.InfoLevel, last.Level)
	fields := last.ContextMap()
	assert.Equal(t, "public/DEFAULT_GROUP/user", fields["service"])
	assert.EqualValues(t, 1, fields["instances"])
	assert.Equal(t, v.State().Rules.MD5, fields["rules_md5"])

	refused := byMessage("document refused, the last good one stays in force")[0]
	assert.Equal(t, zap.WarnLevel, refused.Level)
	assert.Equal(t, "gray.user.yaml", refused.ContextMap()["data_id"])
	problems, ok := refused.ContextMap()["problems"].([]any)
	require.True(t, ok)
	require.NotEmpty(t, problems)
	assert.Contains(t, problems[0], "wrong-service")
}

func TestErrorOfNoServiceNamesNone(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	zapx.Hooks(zap.New(core)).OnError(registry.Service{}, errors.New("nacos 127.0.0.1:9848: connection refused"))

	require.Equal(t, 1, logs.Len())
	fields := logs.All()[0].ContextMap()
	assert.NotContains(t, fields, "service")
	assert.Contains(t, fields["error"], "connection refused")
}

func ExampleHooks() {
	logger := zap.NewExample()
	zapx.Hooks(logger).OnError(
		registry.Service{Namespace: "public", Group: "DEFAULT_GROUP", Name: "user"}, errors.New("watch ended"))
	// Output: {"level":"warn","msg":"discovery problem","service":"public/DEFAULT_GROUP/user","error":"watch ended"}
}

func TestEventsAreLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	hooks := zapx.Hooks(zap.New(core))
	user := registry.Service{Name: "user"}.WithDefaults()
	hooks.OnEvent(resolver.Event{Kind: resolver.InstanceEjected, Service: user, Addr: "10.0.0.1:80", Err: errors.New("refused")})
	hooks.OnEvent(resolver.Event{Kind: resolver.ListHeld, Service: user, Instances: 3})
	hooks.OnEvent(resolver.Event{Kind: resolver.TargetReturned, Service: user, Target: "v2"})
	all := logs.AllUntimed()
	require.Len(t, all, 3)
	assert.Equal(t, "instance ejected", all[0].Message)
	assert.Equal(t, zap.WarnLevel, all[0].Level)
	assert.Equal(t, map[string]any{"service": user.String(), "addr": "10.0.0.1:80", "error": "refused"}, all[0].ContextMap())
	assert.Equal(t, map[string]any{"service": user.String(), "instances": int64(3)}, all[1].ContextMap())
	assert.Equal(t, zap.InfoLevel, all[2].Level)
	assert.Equal(t, map[string]any{"service": user.String(), "target": "v2"}, all[2].ContextMap())
}
