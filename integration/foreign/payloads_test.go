package foreign

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

// difference is one that we make on purpose. A kind or field that ends with "*"
// stands for all that begin so; fields are separated by spaces.
type difference struct{ kind, fields, why string }

// differences are all that there may be.
func differences() []difference {
	return []difference{
		{"ConnectionSetupRequest *", "abilityTable", "has the server tell when it has taken the connection in; the SDK sleeps 100 ms instead"},
		{"ConnectionSetupRequest *", "clientVersion", "we are not the SDK"},
		{"ConnectionSetupRequest config", "labels.AppName", "we name no application"},
		{"ConnectionSetupRequest config", "labels.taskId", "numbers the SDK's connections; we have one"},
		{"SubscribeServiceRequest subscribe=true", "header:app", "we name no application"},
		{
			"InstanceRequest type=deregisterInstance", "instance.ip instance.port instance.clusterName instance.metadata",
			"the server removes all that the connection has, whichever is named; we name none",
		},
		{"Config*", "header:Client-AppName", "we name no application"},
		{"Config*", "header:Client-RequestTS header:Client-RequestToken", "time and a digest of it, which the server does not ask for"},
		{"Config*", "header:charset header:exConfigInfo", "the server answers the same without them"},
		{"ConfigQueryRequest", "header:notify", "for the server's statistics; absent is false"},
		{"ConfigPublishRequest", "additionMap.*", "we leave out what is empty"},
		{"ConfigBatchListenRequest listen=false", "*", "the SDK never tells that it has stopped to listen"},
		{"reply to ConfigChangeNotifyRequest", "type success", "the SDK sends the reply to another push, and that it failed"},
		{"reply to *", "requestId", "the server's number of the push"},
	}
}

// Kinds that a client sends some seconds after it was told to do something.
var late = []string{"HealthCheckRequest", "ServiceQueryRequest", "reply to ConfigChangeNotifyRequest"}

// TestOurPayloadsAreTheSDKs plays one script with the SDK and with our clients
// and compares what they send, field by field.
func TestOurPayloadsAreTheSDKs(t *testing.T) {
	theirs, ours := nacostest.Run(t), nacostest.Run(t)
	sdk, own := record(theirs), record(ours)
	ctx, cancel := context.WithTimeout(t.Context(), processTimeout)
	defer cancel()
	played := make(chan error, 1)
	process := sdkProcess(ctx, t, task{Script: "payloads", Addr: theirs.Addr(), Group: "G", Dir: t.TempDir()})
	go func() {
		_, err := watch(ctx, process, func() error { return await(ctx, sdk, late...) })
		played <- err
	}()
	playOwn(ctx, t, ours.Addr(), own)
	require.NoError(t, <-played)
	ours.Intercept(nil)
	theirs.Intercept(nil)

	compare(t, sdk.messages(), own.messages())
}

// await waits until the kinds are recorded.
func await(ctx context.Context, r *recorder, kinds ...string) error {
	for {
		all, news := r.has(kinds...)
		if all {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting for %v", context.Cause(ctx), kinds)
		}
	}
}

// playOwn is our part of the script: sdk.playPayloads is the SDK's.
func playOwn(ctx context.Context, t *testing.T, addr string, r *recorder) {
	t.Helper()
	svc := registry.Service{Group: "G", Name: service}
	reg, err := registrynacos.New(registrynacos.Config{Servers: []string{addr}})
	require.NoError(t, err)
	defer func() { require.NoError(t, reg.Close()) }()
	instance := func(addr string) registry.Instance {
		in := registry.NewInstance(addr)
		in.Weight = 500
		in.Metadata = map[string]string{"version": "v1"}
		return in
	}
	one, err := reg.Register(ctx, svc, instance("10.0.0.1:80"))
	require.NoError(t, err)
	two, err := reg.Register(ctx, svc, instance("10.0.0.1:81"))
	require.NoError(t, err)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 2)
	listed := make(chan registry.Update, 100)
	go func() { watched <- reg.Watch(watching, svc, func(u registry.Update) { listed <- u }) }()
	<-listed

	conf, err := confignacos.New(confignacos.Config{Servers: []string{addr}}, confignacos.WithGroup("G"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conf.Close()) }()
	require.NoError(t, conf.Publish(ctx, dataID, []byte("a: 1"), ""))
	docs := make(chan config.Doc, 100)
	go func() { watched <- conf.Watch(watching, dataID, func(d config.Doc) { docs <- d }) }()
	for i := range 3 { // the first may be found by listening, at the latest the second is pushed
		doc := <-docs
		require.NoError(t, await(ctx, r, "ConfigBatchListenRequest listen=true"))
		require.NoError(t, conf.Publish(ctx, dataID, fmt.Append(nil, "b: ", i), doc.MD5))
	}
	require.NoError(t, await(ctx, r, late...))
	stop()
	require.ErrorIs(t, <-watched, context.Canceled)
	require.ErrorIs(t, <-watched, context.Canceled)
	require.NoError(t, two.Close(ctx))
	require.NoError(t, one.Close(ctx))
	require.NoError(t, await(ctx, r, "SubscribeServiceRequest subscribe=false"))
}

// compare fails the test for each difference that is not in the table, and for
// each of the table that there is none of.
func compare(t *testing.T, sdk, own map[string]message) {
	t.Helper()
	kinds := slices.Sorted(maps.Keys(sdk))
	for kind := range own {
		if _, ok := sdk[kind]; !ok {
			kinds = append(kinds, kind)
		}
	}
	table := differences()
	used := make([]bool, len(table))
	fields, differ := 0, 0
	for _, kind := range kinds {
		names := slices.Collect(maps.Keys(sdk[kind]))
		for name := range own[kind] {
			if _, ok := sdk[kind][name]; !ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			fields++
			theirs, there := sdk[kind][name]
			ours, here := own[kind][name]
			if there == here && assert.ObjectsAreEqual(theirs, ours) {
				continue
			}
			differ++
			i := slices.IndexFunc(table, func(d difference) bool { return d.covers(kind, name) })
			if i < 0 {
				t.Errorf("%s: %s: the SDK sends %s, we send %s", kind, name, said(theirs, there), said(ours, here))
				continue
			}
			used[i] = true
		}
	}
	for i, d := range table {
		assert.True(t, used[i], "there is no such difference any more: %s: %s", d.kind, d.fields)
	}
	t.Logf("FIGURE payloads: %d kinds of messages, %d fields, %d differ, all for one of %d reasons",
		len(kinds), fields, differ, len(table))
}

func said(v any, there bool) string {
	if !there {
		return "nothing"
	}
	return fmt.Sprintf("%#v", v)
}

// covers reports whether a difference is this one.
func (d difference) covers(kind, field string) bool {
	match := func(pattern, s string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(s, prefix)
		}
		return pattern == s
	}
	return match(d.kind, kind) && slices.ContainsFunc(strings.Fields(d.fields), func(f string) bool { return match(f, field) })
}
