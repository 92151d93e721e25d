package httpx_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// send sends a request and returns the answer, whose body is still open.
func send(ctx context.Context, t *testing.T, c *http.Client, method, url string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	return resp
}

func TestAnAttemptEndsOnceWithItsBody(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v3", func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(rw, "short and stout")
	})
	c := w.client(t)
	want := resolver.Outcome{Status: http.StatusTeapot, Version: "v3"}

	t.Run("read to its end", func(t *testing.T) {
		resp := send(t.Context(), t, c, http.MethodGet, "http://user/", http.NoBody)
		w.notDone(t)
		_, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, want, w.outcome(t))
		_, err = resp.Body.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, resp.Body.Close())
		w.notDone(t)
	})
	t.Run("closed before", func(t *testing.T) {
		resp := send(t.Context(), t, c, http.MethodGet, "http://user/", http.NoBody)
		_, err := resp.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		w.notDone(t)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, want, w.outcome(t))
		require.NoError(t, resp.Body.Close())
		w.notDone(t)
	})
	t.Run("closed while it is read", func(t *testing.T) {
		for range 20 {
			resp := send(t.Context(), t, c, http.MethodGet, "http://user/", http.NoBody)
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = io.ReadAll(resp.Body) }) // whatever it finds
			wg.Go(func() { assert.NoError(t, resp.Body.Close()) })
			wg.Wait()
			assert.Equal(t, http.StatusTeapot, w.outcome(t).Status)
			w.notDone(t)
		}
	})
	t.Run("if there is none", func(t *testing.T) {
		resp := send(t.Context(), t, c, http.MethodHead, "http://user/", http.NoBody)
		assert.Equal(t, want, w.outcome(t))
		require.NoError(t, resp.Body.Close())
		w.notDone(t)
	})
}

func TestAnAttemptThatBreaks(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	hangs := make(chan struct{}, 1)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/before": // no answer at all
			panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler breaks off
		case "/within": // half an answer
			rw.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(rw, "12345")
			_ = http.NewResponseController(rw).Flush()
			panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler breaks off
		case "/hang":
			hangs <- struct{}{}
			<-release
		case "/stream":
			_, _ = io.WriteString(rw, "first")
			_ = http.NewResponseController(rw).Flush()
			<-release
		}
	})
	defer close(release)
	c := w.client(t)

	t.Run("before the answer", func(t *testing.T) {
		body := newCloseable(strings.NewReader("x"))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://user/before", body)
		require.NoError(t, err)
		_, err = c.Do(req) //nolint:bodyclose // there is none
		require.ErrorIs(t, err, io.EOF)
		o := w.outcome(t)
		require.ErrorIs(t, o.Err, io.EOF, "the end of the connection is no end of an answer")
		assert.Zero(t, o.Status)
		body.requireClosed(t)
	})
	t.Run("within the answer", func(t *testing.T) {
		resp := send(t.Context(), t, c, http.MethodGet, "http://user/within", http.NoBody)
		_, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NoError(t, resp.Body.Close())
		o := w.outcome(t)
		require.ErrorIs(t, o.Err, io.ErrUnexpectedEOF)
		assert.Equal(t, http.StatusOK, o.Status)
		w.notDone(t)
	})
	t.Run("by its caller, before the answer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-hangs; cancel() }()
		require.ErrorIs(t, fetch(ctx, c, http.MethodGet, "http://user/hang"), context.Canceled)
		require.ErrorIs(t, w.outcome(t).Err, context.Canceled)
	})
	t.Run("by its caller, within the answer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		resp := send(ctx, t, c, http.MethodGet, "http://user/stream", http.NoBody)
		first := make([]byte, 5)
		_, err := io.ReadFull(resp.Body, first)
		require.NoError(t, err)
		assert.Equal(t, "first", string(first), "it streams")
		cancel()
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, w.outcome(t).Err, context.Canceled)
		require.NoError(t, resp.Body.Close())
		w.notDone(t)
	})
	t.Run("at an instance that is gone", func(t *testing.T) {
		w.Set(registry.Service{Name: "gone"}, registry.NewInstance("127.0.0.1:1"))
		body := newCloseable(strings.NewReader("x"))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gone/", body)
		require.NoError(t, err)
		_, err = c.Do(req) //nolint:bodyclose // there is none
		require.ErrorContains(t, err, "127.0.0.1:1", "the error names the instance")
		require.Error(t, w.outcome(t).Err)
		body.requireClosed(t)
	})
}

func TestAnUpgradedConnectionGoesBothWays(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
		conn, rwc, err := http.NewResponseController(rw).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer func() { assert.NoError(t, conn.Close()) }()
		_, _ = rwc.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rwc.Flush()
		line, _ := rwc.ReadString('\n')
		_, _ = rwc.WriteString("echo " + line)
		_ = rwc.Flush()
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := httpx.NewTransport(w.resolver).RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)

	stream, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	_, err = io.WriteString(stream, "hello\n")
	require.NoError(t, err)
	answer, err := bufio.NewReader(stream).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "echo hello\n", answer)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusSwitchingProtocols, w.outcome(t).Status)
	w.notDone(t)
}
