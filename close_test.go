package graylane

import (
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// TestCloseIsQuickThoughNacosHangs: clients that are at work are closed while the
// server answers nothing, fifty at a time, and leave nothing behind.
func TestCloseIsQuickThoughNacosHangs(t *testing.T) {
	cycles, atOnce := 100, 10
	if os.Getenv("FIGURES") != "" { // alone on the machine
		cycles, atOnce = 1000, 50
	}
	nacos := nacostest.Run(t)
	before, files := runtime.NumGoroutine(), descriptors(t)
	var mu sync.Mutex
	var took []time.Duration
	for done := 0; done < cycles; done += atOnce {
		nacos.Resume()
		clients := make([]*Client, atOnce)
		var wg sync.WaitGroup
		for i := range clients {
			clients[i] = open(t, WithServers(nacos.Addr()))
			wg.Go(func() { atWork(t, clients[i]) })
		}
		wg.Wait()
		nacos.Silence()
		for _, c := range clients {
			wg.Go(func() {
				start := time.Now()
				err := c.Close()
				d := time.Since(start)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			})
		}
		wg.Wait()
	}
	nacos.Resume()
	slices.Sort(took)
	t.Logf("FIGURE %d clients closed with a hung Nacos, %d at a time: median %s, at most %s", cycles, atOnce, took[len(took)/2], took[len(took)-1])
	assert.LessOrEqual(t, took[len(took)-1], 2*time.Second)
	if cycles == 1000 {
		assert.LessOrEqual(t, took[len(took)/2], 100*time.Millisecond)
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 && descriptors(t) <= files+5 },
		10*time.Second, 10*time.Millisecond, "the server's side goes too")
}

// atWork makes a client register, watch and listen.
func atWork(t *testing.T, c *Client) {
	t.Helper()
	reg, err := c.Register(t.Context(), user, registry.NewInstance("127.0.0.1:8080"))
	if !assert.NoError(t, err) {
		return
	}
	assert.NoError(t, reg.Ready(soon(t)))
	view, err := c.Resolver().View(c.Resolver().Service("user"), "")
	if assert.NoError(t, err) {
		assert.NoError(t, view.Ready(soon(t)))
	}
}

// descriptors is how many files and connections this process has open; 0 where it
// cannot be told.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}
