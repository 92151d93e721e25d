package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// incoming is the body of a request that a gateway forwards: the server's handler and
// the transport that sends it on share it.
//
// When an answer begins, net/http's server for HTTP/1 reads what is left of the
// request, throws it away and closes the body, though the transport still reads it: the
// service misses a part, or the answer breaks off, even if all that was left was the
// end (golang/go#40747). Hence the end comes from here as soon as all is read, and an
// answer that is earlier takes nothing from the request.
type incoming struct {
	io.ReadCloser
	length int64 // -1: not known
	w      http.ResponseWriter
	ctx    context.Context //nolint:containedctx // the request's
	http1  bool
	expect bool // the caller waits to be asked for it, as the first Read does (RFC 9110, section 10.1.1)

	turn   chan struct{} // is full while a Read runs
	read   int64         // by the transport alone
	ended  atomic.Bool
	closed atomic.Bool
	early  bool // the answer has begun before the end

	mu   sync.Mutex // guards what follows
	over bool       // the answer has begun, or the handler ends: no Read is to be ended
	why  error      // the first reason why it was not read to its end: errStalled, or an unreadError
}

// grace is how long a failure, or what is to be told the caller, waits for a Read, which
// ends at once if the caller sends. It is no more than a guess at what nobody notices.
const grace = 50 * time.Millisecond

func newIncoming(w http.ResponseWriter, r *http.Request) *incoming {
	b := &incoming{
		ReadCloser: r.Body, length: r.ContentLength, w: w, ctx: r.Context(), http1: r.ProtoMajor == 1,
		expect: r.Header.Get("Expect") != "", turn: make(chan struct{}, 1),
	}
	b.ended.Store(r.ContentLength == 0 || r.Body == nil)
	return b
}

// Read implements io.Reader.
func (b *incoming) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return 0, io.EOF
	}
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case b.read == b.length, errors.Is(err, io.EOF):
		b.ended.Store(true)
	case err != nil:
		b.mu.Lock()
		b.because(&unreadError{err})
		b.mu.Unlock()
	}
	return n, err
}

// Close implements io.Closer. The transport wants no more, since its attempt has failed
// or since the answer is there, which will be known soon: over HTTP/2, it waits for a
// Read before it says so. The body itself is closed by its server.
func (b *incoming) Close() error {
	b.closed.Store(true)
	if len(b.turn) > 0 {
		time.AfterFunc(grace, b.giveUp)
	}
	return nil
}

// giveUp ends a Read that waits for the caller, who is to be told that the request has
// failed.
func (b *incoming) giveUp() {
	b.closed.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || len(b.turn) == 0 {
		return
	}
	if errors.Is(b.ctx.Err(), context.Canceled) {
		// The connection has ended: its ReadTimeout, or the caller left, who will not read this.
		b.because(&unreadError{os.ErrDeadlineExceeded})
	} else {
		b.because(errStalled)
	}
	if b.http1 {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Now()) // Close would wait for the Read
	} else {
		_ = b.ReadCloser.Close()
	}
}

// because keeps the first reason: what follows may come of it. The caller holds mu.
func (b *incoming) because(err error) {
	if b.why == nil {
		b.why = err
	}
}

// answered is called before the answer begins. Over HTTP/1, one that does not wait for
// the end of the request is the last on its connection: net/http panics over another
// one (golang/go#68560), and a caller may never send what is left.
func (b *incoming) answered(status int) {
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	if !b.http1 || status == http.StatusSwitchingProtocols || b.ended.Load() || http.NewResponseController(b.w).EnableFullDuplex() != nil {
		return
	}
	b.early = true
	b.w.Header()["Connection"] = []string{"close"}
}

// end is called before the handler ends.
func (b *incoming) end() {
	b.closed.Store(true)
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	if !b.early {
		return
	}
	// net/http would break a Read, and then not read on, as it otherwise does so that a
	// caller who still sends finds the answer and not a reset connection.
	b.idle()
}

// idle waits until no Read runs, and reports that none does; one that waits for a caller,
// who does not send, goes on.
func (b *incoming) idle() bool {
	select {
	case b.turn <- struct{}{}:
		<-b.turn
		return true
	case <-time.After(grace):
		return false
	}
}

// errStalled is with the error of a request that has failed while its body was waited for.
var errStalled = errors.New("httpx: the request's body did not come")

// explain adds to the error of a request what its body has to do with it, and ends a Read
// that the caller need not be waited for any more.
func (b *incoming) explain(err error) error {
	b.idle() // it may be about to say why it has failed
	b.giveUp()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.why == nil:
		return err
	case errors.Is(b.why, errStalled):
		return fmt.Errorf("%w: %w", err, errStalled)
	}
	return b.why
}

const (
	// maxLeft and leftTime are how much is read of a request that is answered with an
	// error, and for how long, so that its connection can be used again, or its caller
	// finds the answer: net/http's measures.
	maxLeft  = 256 << 10
	leftTime = 500 * time.Millisecond
)

// discard is called before an error is answered, and the reason is known. Over HTTP/1,
// net/http would first read what is left of the request, and wait without bound for a
// caller who does not send it.
func (b *incoming) discard() {
	b.closed.Store(true)
	b.mu.Lock()
	b.over = true
	failed := b.why != nil
	b.mu.Unlock()
	if !b.http1 || b.ended.Load() {
		return
	}
	ctl := http.NewResponseController(b.w)
	if b.idle() && !failed && b.worthIt() && ctl.SetReadDeadline(time.Now().Add(leftTime)) == nil {
		if _, err := io.CopyN(io.Discard, b.ReadCloser, maxLeft); errors.Is(err, io.EOF) {
			return // and net/http has lifted the deadline
		}
	}
	b.w.Header()["Connection"] = []string{"close"}
	_ = ctl.SetReadDeadline(time.Now().Add(leftTime)) // net/http reads on when it has answered
}

// worthIt reports whether what is left is little, and not still to be asked for.
func (b *incoming) worthIt() bool {
	return b.length-b.read < maxLeft && (b.read > 0 || !b.expect)
}

// unreadError is why a request's body could not be read.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// Timeout reports whether it did not come in time.
func (e *unreadError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.error, &t) && t.Timeout()
}
