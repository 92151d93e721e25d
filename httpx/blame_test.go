package httpx_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// brokenUpload is the body of a caller who goes away in the middle of it.
type brokenUpload struct{ begun bool }

func (b *brokenUpload) Read(p []byte) (int, error) {
	if b.begun {
		return 0, io.ErrUnexpectedEOF
	}
	b.begun = true
	return copy(p, "hello"), nil
}

func (*brokenUpload) Close() error { return nil }

func TestAnUploadThatBreaksSpeaksAgainstNobody(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.provide(t, "user", "v1", swallow)
	}
	c := w.client(t)
	for range 40 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://user/", &brokenUpload{})
		require.NoError(t, err)
		resp, err := c.Do(req)
		if err == nil {
			drained(t, resp)
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	w.noEvent(t)
}

func TestAnAnswerThatIsGivenUpLeavesItsConnection(t *testing.T) {
	w := newWorld(t)
	bad := w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, strings.Repeat("busy ", 100))
	})
	w.provide(t, "user", "v1", hello)
	c := w.client(t)
	for i := 0; i < 100 && bad.requests.Load() < 4; i++ {
		get(t, c, "http://user/")
	}
	assert.EqualValues(t, 4, bad.requests.Load())
	assert.LessOrEqual(t, bad.opened.Load(), int64(2), "net/http gives one up that it had to wait 50 ms for")
}

// A caller that leaves before its request is sent again leaves no body open.
func TestARetryThatIsNotMadeClosesItsBody(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, again := newCloseable(strings.NewReader("x")), newCloseable(strings.NewReader("x"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://user/", first)
	require.NoError(t, err)
	req.GetBody = func() (io.ReadCloser, error) {
		cancel()
		return again, nil
	}
	_, err = w.client(t).Do(req) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	first.requireClosed(t)
	again.requireClosed(t)
	assert.Zero(t, w.inFlight(t, "user"))
}
