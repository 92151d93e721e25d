package httpx_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
)

// inFlight returns how many requests are in flight to the instances of a service.
func (w *world) inFlight(t *testing.T, service string) (n int64) {
	t.Helper()
	v, err := w.resolver.View(w.resolver.Service(service), "http")
	require.NoError(t, err)
	defer v.Close()
	require.NoError(t, v.Ready(t.Context()))
	for i := range v.State().Snapshot.Len() {
		n += v.State().Director.Endpoint(i).InFlight()
	}
	return n
}

func TestWhatStreamsOnIsNoLoad(t *testing.T) {
	w := newWorld(t)
	client := w.client(t)
	for service, c := range map[string]struct {
		contentType string
		inFlight    int64 // while the answer goes on
	}{
		"body":   {"text/plain", 1},
		"events": {"text/event-stream; charset=utf-8", 0},
	} {
		t.Run(service, func(t *testing.T) {
			end := make(chan struct{})
			w.provide(t, service, "v1", func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", c.contentType)
				_, _ = io.WriteString(rw, "begin\n")
				_ = http.NewResponseController(rw).Flush()
				select {
				case <-end:
				case <-r.Context().Done():
				}
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+service+"/", http.NoBody)
			require.NoError(t, err)
			resp, err := client.Do(req)
			require.NoError(t, err)
			line, err := bufio.NewReader(resp.Body).ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "begin\n", line)
			assert.Equal(t, c.inFlight, w.inFlight(t, service))
			close(end)
			_, _ = io.Copy(io.Discard, resp.Body)
			require.NoError(t, resp.Body.Close())
			require.Eventually(t, func() bool { return w.inFlight(t, service) == 0 }, patience, time.Millisecond)
			w.outcome(t)
		})
	}
	t.Run("an upgraded connection", func(t *testing.T) {
		w.provide(t, "echo", "v1", func(rw http.ResponseWriter, _ *http.Request) {
			conn, rwc, err := http.NewResponseController(rw).Hijack()
			if !assert.NoError(t, err) {
				return
			}
			defer func() { assert.NoError(t, conn.Close()) }()
			_, _ = rwc.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rwc.Flush()
			_, _ = rwc.ReadString('\n')
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://echo/", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := httpx.NewTransport(w.resolver).RoundTrip(req)
		require.NoError(t, err)
		assert.Zero(t, w.inFlight(t, "echo"))
		require.NoError(t, resp.Body.Close())
		w.outcome(t)
		assert.Zero(t, w.inFlight(t, "echo"))
	})
}
