package graylane

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

const versionTwo = "gray: v1\ndefault: v2\n"

// first returns the version that a new client's first request to user goes to, and
// how long that took from Open on.
func first(t *testing.T, opts ...Option) (gl *Client, version string, took time.Duration) {
	t.Helper()
	start := time.Now()
	gl = open(t, opts...)
	view, err := gl.Resolver().View(gl.Resolver().Service("user"), "")
	require.NoError(t, err)
	call, err := view.Pick(soon(t), asked{}, nil)
	require.NoError(t, err)
	call.Done(t.Context(), resolver.Outcome{})
	return gl, call.Instance().Version(), time.Since(start)
}

// asked is a request without anything that a rule could ask for.
type asked struct{}

func (asked) Header(config.HeaderName) (string, bool) { return "", false }
func (asked) Cookie(string) (string, bool)            { return "", false }
func (asked) Query(string) (string, bool)             { return "", false }
func (asked) Path() string                            { return "/" }
func (asked) Method() string                          { return "GET" }
func (asked) User() string                            { return "" }
func (asked) Lane() string                            { return "" }

func TestAColdStartWithoutNacosServesFromTheDisk(t *testing.T) {
	nacos, dir := nacostest.Run(t), filepath.Join(t.TempDir(), "cache")
	nacos.Publish(config.DefaultGroup, config.ServiceDocID("user"), versionTwo)
	for i, v := range []string{"v1", "v2"} {
		nacos.Register(user, nacostest.NewInstance("127.0.0.1", 8080+i, map[string]string{"version": v}))
	}
	gl, version, _ := first(t, WithServers(nacos.Addr()), WithCacheDir(dir))
	assert.Equal(t, "v2", version)
	require.NoError(t, gl.Close())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	nacos.Stop()
	var mu sync.Mutex
	var events []resolver.Event
	gl, version, took := first(t, WithServers(nacos.Addr()), WithCacheDir(dir), WithHooks(resolver.Hooks{OnEvent: func(e resolver.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}}))
	assert.Equal(t, "v2", version)
	t.Logf("FIGURE cold start with Nacos down: first request %s after Open", took.Round(time.Millisecond))
	mu.Lock()
	require.NotEmpty(t, events)
	assert.Equal(t, resolver.FromCache, events[0].Kind)
	mu.Unlock()

	view, err := gl.Resolver().View(gl.Resolver().Service("user"), "")
	require.NoError(t, err)
	assert.True(t, view.State().Cached)
	require.NoError(t, nacos.Restart(nacostest.KeepData))
	require.Eventually(t, func() bool { return !view.State().Cached }, 10*time.Second, time.Millisecond)
}

func TestACacheThatCannotBeUsedIsReportedAndNoReasonToFail(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Register(user, nacostest.NewInstance("127.0.0.1", 8080, map[string]string{"version": "v1"}))
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	var reported error
	_, version, _ := first(t, WithServers(nacos.Addr()), WithCacheDir(file),
		WithHooks(resolver.Hooks{OnError: func(_ registry.Service, err error) { reported = err }}))
	assert.Equal(t, "v1", version)
	require.ErrorContains(t, reported, "no disk cache")
	require.ErrorContains(t, reported, envCache)
}
