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

// lazy is a context that does not call what context.AfterFunc has told it to.
type lazy struct {
	context.Context
	done chan struct{}
}

func (l lazy) Done() <-chan struct{}               { return l.done }
func (l lazy) AfterFunc(func()) (stop func() bool) { return func() bool { return true } }

func (l lazy) Err() error {
	select {
	case <-l.done:
		return context.Canceled
	default:
		return nil
	}
}

// Whoever waits for a context may go on before what context.AfterFunc has to call is
// called.
func TestAnUploadThatEndsBeforeItIsAbortedSpeaksAgainstNobody(t *testing.T) {
	ctx := lazy{t.Context(), make(chan struct{})}
	body := &waiting{make(chan struct{}), make(chan struct{})}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://user/", http.NoBody)
	require.NoError(t, err)
	a := &attempt{out: *req, kept: &kept{body: body}}
	a.out.Body = a.kept
	_, err = a.carry(roundTrip(func(r *http.Request) (*http.Response, error) { //nolint:bodyclose // there is none
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = r.Body.Read(nil) })
		<-body.asked
		close(ctx.done)
		_ = r.Body.Close()
		reading.Wait()
		return nil, r.Context().Err()
	}))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, a.callers(err), resolver.ErrGivenUp)
}

// net/http waits for a Read, though the time of its request is up, and may not have begun
// it by then. And over HTTP/2 it may begin one when another attempt has the body.
func TestAnUploadIsNotReadOnceItsTimeIsUp(t *testing.T) {
	body := &waiting{make(chan struct{}), make(chan struct{})}
	first := &kept{body: body}
	first.abort()
	_, err := first.Read(nil)
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
	first.late()
	require.False(t, first.broken(), "nobody waited for the caller")
	require.NoError(t, first.Close())
	require.True(t, first.whole())
	second := first.again()
	_, err = first.Read(nil)
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
	second.release()
	go func() {
		<-body.asked
		first.abort()
		second.abort()
	}()
	_, err = second.Read(nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	second.late()
	require.True(t, second.broken())
}
