//go:build linux

package httpx_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// envProviders makes a process of this test the consumer of those addresses.
const envProviders = "GRAYLANE_TEST_PROVIDERS"

// TestAConsumerWithoutDescriptorsFailsAndRecovers: a consumer, which is a process of its
// own, may open three more files, and sends fifty requests at a time that take 100 ms.
func TestAConsumerWithoutDescriptorsFailsAndRecovers(t *testing.T) { // F57
	if addrs := os.Getenv(envProviders); addrs != "" {
		starve(t, strings.Split(addrs, ","))
		return
	}
	w := newWorld(t)
	var addrs []string
	for range 2 {
		p := w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
			hello(rw, r)
		})
		addrs = append(addrs, p.Listener.Addr().String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exe, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(ctx, exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	child.Env = append(os.Environ(), envProviders+"="+strings.Join(addrs, ","))
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if _, figure, ok := strings.Cut(line, "FIGURE "); ok {
			t.Log("FIGURE " + strings.TrimSpace(figure))
		}
	}
}

// starve is the consumer.
func starve(t *testing.T, addrs []string) {
	t.Helper()
	w := newWorld(t)
	var ejected atomic.Int64
	var err error
	w.resolver, err = resolver.New(w, nil, resolver.WithHooks(resolver.Hooks{OnEvent: func(e resolver.Event) {
		if e.Kind == resolver.InstanceEjected {
			ejected.Add(1)
			t.Log(e.Addr, e.Err)
		}
	}}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.resolver.Close()) })
	var list []registry.Instance
	for _, addr := range addrs {
		in := registry.NewInstance(addr)
		in.Metadata = map[string]string{registry.KeyVersion: "v1"}
		list = append(list, in)
	}
	w.Set(registry.Service{Name: "user"}, list...)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	c := w.client(t, httpx.WithTransport(transport))
	get(t, c, "http://user/") // whatever else must be open is
	transport.CloseIdleConnections()

	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(len(files)) + 3, Max: before.Max}))
	cpu := cpuTime(t)
	var failed, all atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 5 {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				all.Add(1)
				if err := fetch(ctx, c, http.MethodPost, "http://user/"); err != nil {
					failed.Add(1)
					var op *net.OpError
					var outer *url.Error
					assert.ErrorAs(t, err, &outer)
					assert.True(t, errors.Is(err, context.DeadlineExceeded) ||
						errors.As(err, &op) && errors.Is(err, syscall.EMFILE), "%v", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	assert.NotZero(t, failed.Load(), "there is a lack of descriptors")
	assert.Zero(t, ejected.Load(), "which is no instance's fault")
	spent := cpuTime(t) - cpu
	t.Logf("FIGURE F57: %d of %d requests failed; %s of processor time", failed.Load(), all.Load(), spent.Round(time.Millisecond))
	assert.Less(t, spent, 3*time.Second, "nothing spins")

	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before))
	start := time.Now()
	for range 10 {
		get(t, c, "http://user/")
	}
	t.Logf("FIGURE F57: ten requests %s after there are descriptors again", time.Since(start).Round(time.Millisecond))
}

// cpuTime is what this process has used of its processors.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
