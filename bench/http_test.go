package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bufbuild/httplb"
	hresolver "github.com/bufbuild/httplb/resolver"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// workers is how many requests are under way at a time.
const workers = 16

// byHeader sends a request to v2 that says so.
const byHeader = "gray: v1\ndefault: v1\nrules:\n- {name: canary, when: {header.x-canary: \"yes\"}, to: v2}\n"

// httpServer is an instance of a version, and counts its requests.
type httpServer struct {
	*httptest.Server
	requests atomic.Int64
}

func newHTTPServer(tb testing.TB) *httpServer {
	tb.Helper()
	s := &httpServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.requests.Add(1)
		_, _ = io.WriteString(w, "ok")
	}))
	tb.Cleanup(s.Close)
	return s
}

// BenchmarkRequestHTTP is a whole request over the loopback, of 16 workers: half of
// them go to v1 and half, by their header, to v2. net/http gets the address of the
// one or the other; httplb, which does not know versions, goes round both.
func BenchmarkRequestHTTP(b *testing.B) {
	v1, v2 := newHTTPServer(b), newHTTPServer(b)
	addrs := []string{v1.Listener.Addr().String(), v2.Listener.Addr().String()}
	for _, c := range inTurn([]struct {
		name   string
		client func(testing.TB, []string) (c *http.Client, hosts [2]string)
	}{
		{"ours", oursHTTP}, {"net-http", fixedHTTP}, {"httplb", httplbHTTP},
	}) {
		b.Run(c.name, func(b *testing.B) {
			client, hosts := c.client(b, addrs)
			requestHTTP(b, client, hosts)
			if c.name != "httplb" { // each request went to its version
				before := [2]int64{v1.requests.Load(), v2.requests.Load()}
				require.NoError(b, getHTTP(b.Context(), client, hosts[0], false))
				require.NoError(b, getHTTP(b.Context(), client, hosts[1], true))
				require.Equal(b, [2]int64{before[0] + 1, before[1] + 1}, [2]int64{v1.requests.Load(), v2.requests.Load()})
			}
		})
	}
}

func requestHTTP(b *testing.B, c *http.Client, hosts [2]string) {
	b.Helper()
	ctx := b.Context()
	var wg sync.WaitGroup
	for range workers { // until each has its connections
		wg.Go(func() {
			for i := range 50 {
				if err := getHTTP(ctx, c, hosts[i&1], i&1 == 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	requests(b, func(i int) error { return getHTTP(ctx, c, hosts[i&1], i&1 == 1) })
}

// requests measures one that is sent by all workers, each of which counts its own:
// the time, and what the process uses of the cores. Of that others on the machine
// take nothing away.
func requests(b *testing.B, send func(i int) error) {
	b.Helper()
	b.SetParallelism(max(1, workers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	before := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := send(i); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	reportCPU(b, before)
}

func getHTTP(ctx context.Context, c *http.Client, host string, canary bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/orders/17", http.NoBody)
	if err != nil {
		return err
	}
	if canary {
		req.Header.Set("X-Canary", "yes")
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return err
}

// fixedHTTP is net/http with the address of each version, and as many kept
// connections as the others have.
func fixedHTTP(tb testing.TB, addrs []string) (*http.Client, [2]string) {
	tb.Helper()
	t := &http.Transport{MaxIdleConnsPerHost: httpx.MaxIdleConns}
	tb.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}, [2]string{addrs[0], addrs[1]}
}

func oursHTTP(tb testing.TB, addrs []string) (*http.Client, [2]string) {
	tb.Helper()
	r := newResolver(tb, byHeader, addrs)
	c := httpx.NewClient(r)
	tb.Cleanup(c.CloseIdleConnections)
	return c, [2]string{service, service}
}

// newResolver is a resolver over a registry with v1 and v2, in turn, and a document.
func newResolver(tb testing.TB, doc string, addrs []string) *resolver.Resolver {
	tb.Helper()
	reg := memory.New()
	list := make([]registry.Instance, len(addrs))
	for i, addr := range addrs {
		list[i] = registry.NewInstance(addr)
		list[i].Metadata = map[string]string{registry.KeyVersion: []string{"v1", "v2"}[i%2]}
	}
	reg.Set(registry.Service{Name: service}, list...)
	r, err := resolver.New(reg, configmemory.New(map[string]string{config.ServiceDocID(service): doc}))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.Close()) })
	return r
}

func httplbHTTP(tb testing.TB, addrs []string) (*http.Client, [2]string) {
	tb.Helper()
	c := httplb.NewClient(httplb.WithResolver(listed(addrs)), httplb.WithNoProxy())
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c.Client, [2]string{service, service}
}

// listed is an httplb resolver of addresses that are known.
type listed []string

// New implements resolver.Resolver.
func (l listed) New(_ context.Context, _, _ string, r hresolver.Receiver, _ <-chan struct{}) io.Closer {
	out := make([]hresolver.Address, len(l))
	for i, addr := range l {
		out[i].HostPort = addr
	}
	r.OnResolve(out)
	return io.NopCloser(nil)
}
