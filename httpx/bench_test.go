package httpx_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

// BenchmarkRoundTrip compares a request through a Transport with one through the
// http.Transport below it, over a real connection each.
func BenchmarkRoundTrip(b *testing.B) {
	w := newWorld(b)
	p := w.provide(b, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "ok")
	})
	run := func(b *testing.B, rt http.RoundTripper, url string, carried bool) {
		b.Helper()
		ctx := b.Context()
		if carried {
			ctx = lane.WithUser(lane.With(ctx, "canary"), "u1")
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	bare := &http.Transport{MaxIdleConnsPerHost: httpx.MaxIdleConns}
	b.Cleanup(bare.CloseIdleConnections)
	graylane := httpx.NewTransport(w.resolver)
	b.Cleanup(graylane.Close)
	b.Run("bare", func(b *testing.B) { run(b, bare, p.URL+"/", false) })
	b.Run("graylane", func(b *testing.B) { run(b, graylane, "http://user/", false) })
	b.Run("graylane-carrying", func(b *testing.B) { run(b, graylane, "http://user/", true) })
}

// BenchmarkGateway measures a request through a gateway: client, gateway and
// provider, over real connections.
func BenchmarkGateway(b *testing.B) {
	w := newWorld(b)
	w.provide(b, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "ok")
	})
	transport := httpx.NewTransport(w.resolver)
	b.Cleanup(transport.Close)
	front := w.provide(b, "front", "v1", httpx.NewGateway(transport, byPath()).ServeHTTP)
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, fetch(b.Context(), front.Client(), http.MethodGet, front.URL+"/user/"))
	}
}
