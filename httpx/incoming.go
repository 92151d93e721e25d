package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
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
// end (golang/go#40747). Hence the end comes from here as soon as it was read, and an
// answer that is earlier takes nothing from the request. When it has ended, net/http
// reads on, and waits without bound for a caller who does not send: it gets a deadline.
type incoming struct {
	from    *http.Request
	trailer http.Header // of the request that is sent on: net/http writes to the other when it likes
	w       http.ResponseWriter
	http1   bool

	turn    chan struct{} // is full while a Read runs, and for a moment when idle looks
	read    int64         // how much; by who has the turn
	reading atomic.Bool
	ended   atomic.Bool // all was read
	closed  atomic.Bool // nothing more is to be read
	early   bool        // the answer has begun before the end; by the handler

	mu   sync.Mutex // guards what follows
	over bool       // giveUp has nothing more to do: the answer has begun, or there will be one at once
	cut  bool       // a Read was ended
	why  error      // the first reason why it was not read to its end: errStalled, or an unreadError
}

// grace is how long a failure, or what is to be told the caller, waits for a Read, which
// ends at once if the caller sends. It is no more than a guess at what nobody notices.
const grace = 50 * time.Millisecond

func newIncoming(w http.ResponseWriter, r *http.Request) *incoming {
	b := &incoming{from: r, trailer: maps.Clone(r.Trailer), w: w, http1: r.ProtoMajor == 1, turn: make(chan struct{}, 1)}
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
	b.reading.Store(true)
	defer b.reading.Store(false)
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.from.Body.Read(p)
	b.read += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		if b.trailer != nil {
			maps.Copy(b.trailer, b.from.Trailer)
		}
		b.ended.Store(true)
	case err != nil:
		b.mu.Lock()
		if !b.cut {
			b.because(&unreadError{err})
		}
		b.mu.Unlock()
	}
	return n, err
}

// Close implements io.Closer. The transport wants no more, since its attempt has failed
// or since the answer is there, which will be known soon: over HTTP/2, it waits for a
// Read before it says so. The body itself is closed by its server.
func (b *incoming) Close() error {
	b.closed.Store(true)
	if b.reading.Load() {
		time.AfterFunc(grace, b.giveUp)
	}
	return nil
}

// giveUp ends a Read that waits for the caller, who is to be told that the request has
// failed.
func (b *incoming) giveUp() {
	b.closed.Store(true)
	cancelled := errors.Is(b.from.Context().Err(), context.Canceled)
	if cancelled {
		b.idle() // if the connection has ended, the Read says so itself
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || !b.reading.Load() {
		return
	}
	if !cancelled {
		b.because(errStalled)
	}
	b.cut = true
	b.interrupt()
}

// interrupt ends a Read. Over HTTP/1, Close would wait for it, and net/http cancels the
// request's context.
func (b *incoming) interrupt() {
	if b.http1 {
		b.deadline(0)
	} else {
		_ = b.from.Body.Close()
	}
}

// deadline is when no Read may wait any more, and reports whether the server knows of
// such. It ends with the request.
func (b *incoming) deadline(d time.Duration) bool {
	return http.NewResponseController(b.w).SetReadDeadline(time.Now().Add(d)) == nil
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

// end is called when the answer has ended, and before the handler does. Over HTTP/2,
// the transport waits for a Read before it closes an answer.
func (b *incoming) end() {
	b.last()
	if b.ended.Load() || b.http1 && !b.early {
		return
	}
	if !b.idle() {
		b.interrupt()
		b.idle()
	}
	if b.http1 {
		b.deadline(leftTime)
	}
}

// last says that nothing more is to be read, and reports whether a Read has failed.
func (b *incoming) last() (failed bool) {
	b.closed.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	return b.why != nil || b.cut
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

// answer is an answer that ends its request with itself.
type answer struct {
	io.ReadCloser
	request *incoming
}

// Close implements io.Closer.
func (a answer) Close() error {
	a.request.end()
	return a.ReadCloser.Close()
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

// refuse answers with an error, of which the reason is known.
func (b *incoming) refuse(status int, text string) {
	b.discard()
	fail(b.w, status, text)
}

// discard is called before an error is answered. Over HTTP/1,
// net/http would first read what is left of the request.
func (b *incoming) discard() {
	failed := b.last()
	if !b.http1 || b.ended.Load() {
		return
	}
	if b.idle() && !failed && b.little() && b.deadline(leftTime) {
		if _, err := io.CopyN(io.Discard, b.from.Body, maxLeft); errors.Is(err, io.EOF) {
			return
		}
	}
	b.w.Header()["Connection"] = []string{"close"}
	b.deadline(leftTime)
}

// little reports whether what is left is not much, and not still to be asked for (RFC
// 9110, section 10.1.1).
func (b *incoming) little() bool {
	return b.from.ContentLength-b.read < maxLeft && (b.read > 0 || b.from.Header.Get("Expect") == "")
}

// unreadError is why a request's body could not be read.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// Timeout reports whether it did not come in time.
func (e *unreadError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.error, &t) && t.Timeout()
}
