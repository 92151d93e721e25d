package httpx

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/resolver"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// waiting is a body that never comes.
type waiting struct{ asked, ended chan struct{} }

func (w *waiting) Read([]byte) (int, error) {
	close(w.asked)
	<-w.ended
	return 0, io.ErrClosedPipe
}

func (w *waiting) Close() error {
	close(w.ended)
	return nil
}

// Whoever waits for a context may go on before what context.AfterFunc has to call is
// called.
func TestAnUploadThatEndsBeforeItIsAbortedSpeaksAgainstNobody(t *testing.T) {
	for range 10_000 {
		ctx, cancel := context.WithCancel(t.Context())
		body := &waiting{make(chan struct{}), make(chan struct{})}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://user/", http.NoBody)
		require.NoError(t, err)
		a := &attempt{out: *req, kept: &kept{body: body}}
		a.out.Body = a.kept
		var reading sync.WaitGroup
		_, err = a.carry(roundTrip(func(r *http.Request) (*http.Response, error) { //nolint:bodyclose // there is none
			reading.Go(func() { _, _ = r.Body.Read(nil) })
			<-body.asked
			go cancel()
			<-r.Context().Done()
			_ = r.Body.Close()
			reading.Wait()
			return nil, r.Context().Err()
		}))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, a.callers(err), resolver.ErrGivenUp)
	}
}

// net/http waits for a Read, though the time of its request is up, and may not have begun
// it by then.
func TestAnUploadIsNotReadOnceItsTimeIsUp(t *testing.T) {
	body := &waiting{make(chan struct{}), make(chan struct{})}
	k := &kept{body: body}
	k.abort()
	_, err := k.Read(nil)
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
	k.late()
	require.False(t, k.broken(), "nobody waited for the caller")
	require.NoError(t, k.Close())
	require.True(t, k.whole())
	k.reopened().release()
	go func() {
		<-body.asked
		k.abort()
	}()
	_, err = k.Read(nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	k.late()
	require.True(t, k.broken())
}
