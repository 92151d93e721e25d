package nacos2

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 40 * time.Second // Nacos looks for new users every 15 s
	service  = "user"
)

func TestProvidersRulesAndConsumersOnNacos2(t *testing.T) {
	addr := nacos.RunV2(t).Addr()
	v1, v2 := provide(t, addr, "v1"), provide(t, addr, "v2")
	consumer := open(t, addr)
	r := consumer.Resolver()
	view, err := r.View(r.Service(service), "http")
	require.NoError(t, err)
	await(t, view, "both providers", func(s *resolver.State) bool { return s.Snapshot.Len() == 2 })

	// An operator's request of the API v1.
	first := "gray: v1\ndefault: v1\nrules:\n- {name: asked-for, by: header.x-gray-version}\n"
	publishV1(t, addr, first)
	state := await(t, view, "the rules of the API v1", hasRules(""))
	assert.Equal(t, map[string]string{"": "v1", "v2": "v2"}, served(t, r))

	// Ours, which no one may overtake.
	publisher, err := confignacos.New(confignacos.Config{Servers: []string{addr}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, publisher.Close()) })
	second := []byte("gray: v1\ndefault: v2\nrules:\n- {name: asked-for, by: header.x-gray-version}\n")
	id, before := config.ServiceDocID(service), state.Revision()
	require.NoError(t, publisher.Publish(within(t), id, second, before))
	require.ErrorIs(t, publisher.Publish(within(t), id, []byte("gray: v1\ndefault: v3\n"), before), config.ErrConflict)
	await(t, view, "the publisher's rules", hasRules(before))
	assert.Equal(t, map[string]string{"": "v2", "v2": "v2"}, served(t, r))

	v1()
	await(t, view, "the end of v1", func(s *resolver.State) bool { return s.Snapshot.Len() == 1 })
	v2()
	await(t, view, "the end of v2", func(s *resolver.State) bool { return s.Snapshot.Len() == 0 })
}

// provide runs a provider until the returned function is called, or the test
// ends.
func provide(t *testing.T, addr, version string, opts ...graylane.Option) (stop func()) {
	t.Helper()
	client := open(t, addr, append(opts, graylane.WithVersion(version), graylane.WithIP("127.0.0.1"))...)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		assert.NoError(t, httpx.ServeListener(ctx, client, service, ln, http.NotFoundHandler(), httpx.WithLinger(-1)))
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// problems shows what clients report.
func problems(t *testing.T) resolver.Hooks {
	t.Helper()
	return resolver.Hooks{OnError: func(s registry.Service, err error) { t.Log(s, err) }}
}

func open(t *testing.T, addr string, opts ...graylane.Option) *graylane.Client {
	t.Helper()
	client, err := graylane.Open(t.Context(), append(opts, graylane.WithServers(addr), graylane.WithHooks(problems(t)))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// served returns which version answers those who ask for none and for v2.
func served(t *testing.T, r *resolver.Resolver) map[string]string {
	t.Helper()
	client := httpx.NewClient(r)
	defer client.CloseIdleConnections()
	answers := map[string]string{}
	for _, asked := range []string{"", "v2"} {
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+service+"/", http.NoBody)
		require.NoError(t, err)
		if asked != "" {
			req.Header.Set(lane.HeaderVersion, asked)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		answers[asked] = resp.Header.Get(httpx.VersionHeader)
	}
	return answers
}

func publishV1(t *testing.T, addr, text string) {
	t.Helper()
	form := url.Values{"dataId": {config.ServiceDocID(service)}, "group": {config.DefaultGroup}, "content": {text}, "type": {"yaml"}}
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+addr+"/nacos/v1/cs/configs", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "true", string(answer), resp.Status)
}

// hasRules reports whether a document is in force that is not the one of that
// revision.
func hasRules(not string) func(*resolver.State) bool {
	return func(s *resolver.State) bool { return s.Rules != nil && s.Revision() != not }
}

// await waits until the view's state is as wanted, and returns it.
func await(t *testing.T, v *resolver.View, what string, wanted func(*resolver.State) bool) (is *resolver.State) {
	t.Helper()
	ctx, reached := context.WithCancel(within(t))
	err := v.Watch(ctx, func(s *resolver.State) {
		if wanted(s) {
			is = s
			reached()
		}
	})
	require.ErrorIs(t, err, context.Canceled, "waiting for %s", what)
	return is
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
