package graylane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/resolver"
)

// TestAStartWithoutNacosAndCache: nothing waits for more than it was told to, everything
// says why, and all is well by itself when Nacos comes.
func TestAStartWithoutNacosAndCache(t *testing.T) { // F25
	nacos := nacostest.Run(t)
	nacos.Register(user, nacostest.NewInstance("127.0.0.1", 8080, map[string]string{"version": "v1"}))
	nacos.Stop()
	start := time.Now()
	gl := open(t, WithServers(nacos.Addr()))
	assert.Less(t, time.Since(start), 8*time.Second, "Open does not wait")

	view, err := gl.Resolver().View(gl.Resolver().Service("user"), "")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	start = time.Now()
	_, err = view.Pick(ctx, asked{}, nil)
	took := time.Since(start)
	require.ErrorIs(t, err, resolver.ErrNotReady)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "connection refused", "it says why")
	assert.Less(t, took, 8*time.Second)
	require.ErrorContains(t, gl.Ready(ctx), "connection refused")

	require.NoError(t, nacos.Restart(nacostest.WipeData))
	nacos.Register(user, nacostest.NewInstance("127.0.0.1", 8081, map[string]string{"version": "v1"}))
	start = time.Now()
	call, err := view.Pick(soon(t), asked{}, nil)
	require.NoError(t, err)
	call.Done(t.Context(), resolver.Outcome{})
	assert.Equal(t, "127.0.0.1:8081", call.Addr())
	assert.Less(t, time.Since(start), 8*time.Second)
	t.Logf("FIGURE start without Nacos and cache: first request %s after Nacos is there", time.Since(start).Round(time.Millisecond))
}

// TestTheLastOfManyDocumentsIsInForce: 20 are published within 100 ms.
func TestTheLastOfManyDocumentsIsInForce(t *testing.T) { // F38
	nacos := nacostest.Run(t)
	for i, v := range []string{"v1", "v2"} {
		nacos.Register(user, nacostest.NewInstance("127.0.0.1", 8080+i, map[string]string{"version": v}))
	}
	id := config.ServiceDocID("user")
	published := []string{nacos.Publish(config.DefaultGroup, id, versionTwo)}
	var mu sync.Mutex
	var applied []string
	gl := open(t, WithServers(nacos.Addr()), WithHooks(resolver.Hooks{OnUpdate: func(_ *resolver.View, s *resolver.State) {
		mu.Lock()
		defer mu.Unlock()
		applied = append(applied, s.Revision())
	}}))
	view, err := gl.Resolver().View(gl.Resolver().Service("user"), "")
	require.NoError(t, err)
	require.NoError(t, view.Ready(soon(t)))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range 20 {
		published = append(published, nacos.Publish(config.DefaultGroup, id, fmt.Sprintf("%s# %d\n", versionTwo, i)))
		<-tick.C
	}
	start := time.Now()
	require.Eventually(t, func() bool { return view.State().Revision() == published[20] }, 10*time.Second, time.Millisecond)
	t.Logf("FIGURE 20 documents within 100 ms: the last is in force after %s", time.Since(start).Round(time.Millisecond))
	mu.Lock()
	defer mu.Unlock()
	newest := 0
	for _, revision := range applied {
		at := slices.Index(published, revision)
		assert.GreaterOrEqual(t, at, newest, "an older one came back")
		newest = at
	}
}
