package httpx_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

// Whoever authenticates stands around the gateway. What a caller says of himself
// must not win, here or behind.
func TestTheUserFoundOutAroundAGatewayGoesOn(t *testing.T) {
	w := newWorld(t)
	seen := make(chan *http.Request, 1)
	w.provide(t, "user", "v1", func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	tr := httpx.NewTransport(w.resolver)
	defer tr.Close()
	gateway := httpx.NewGateway(tr, byPath(), httpx.Edge())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gateway.ServeHTTP(w, r.WithContext(lane.WithUser(r.Context(), "alice")))
	}))
	defer srv.Close()
	for _, says := range []string{"", "victim"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/user/?x=1;y=2&z=%zz&ok=1", http.NoBody)
		require.NoError(t, err)
		if says != "" {
			req.Header.Set("X-User-Id", says)
		}
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		drained(t, resp)
		got := <-seen
		assert.Equal(t, []string{"alice"}, got.Header["X-User-Id"])
		assert.Equal(t, "x=1;y=2&z=%zz&ok=1", got.URL.RawQuery, "what a service makes of it is its own business")
	}
}

func TestAGatewayForwardsNoUpgradeButWebsockets(t *testing.T) {
	w := newWorld(t)
	seen := make(chan http.Header, 1)
	w.provide(t, "user", "v1", func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	srv, _ := w.gateway(t, byPath())
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /user/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	drained(t, resp)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	got := <-seen
	for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
		assert.NotContains(t, got, name)
	}
}
