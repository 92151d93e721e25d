package httpx

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// maxDrained is how much of an answer that is given up is read, and drainTime how long
// that may take, so that its connection can be used again.
const (
	maxDrained = 4 << 10
	drainTime  = 50 * time.Millisecond
)

// retry returns the next attempt at a request whose attempt a ended so; nil, and what
// the caller gets, if there is none. The answer of an attempt that is given up is closed.
func (a *attempt) retry(req *http.Request, resp *http.Response, err error) (*attempt, *http.Response, error) {
	if err == nil && a.status < http.StatusInternalServerError {
		return nil, resp, nil
	}
	o := resolver.Outcome{Err: a.callers(err), Status: a.status}
	ctx := req.Context()
	if a.kept != nil && !a.kept.whole() || !a.call.MayRetry(ctx, o, idempotent(req)) {
		return nil, resp, err
	}
	next := newAttempt(req)
	if req.GetBody != nil {
		body, none := req.GetBody()
		if none != nil {
			return nil, resp, err
		}
		next.out.Body = body
	}
	if resp != nil {
		late := time.AfterFunc(drainTime, func() { _ = resp.Body.Close() })
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrained)
		late.Stop()
		_ = resp.Body.Close() // which ends a
	}
	if err := next.follow(ctx, a); err != nil {
		if req.GetBody != nil {
			_ = next.out.Body.Close() // nobody sends it
		}
		return nil, nil, err
	}
	if a.kept != nil {
		next.kept = a.kept.again()
		next.out.Body = next.kept
	}
	if !o.Unsent() {
		next.out.Header = next.out.Header.Clone()
		if next.out.Header == nil {
			next.out.Header = http.Header{}
		}
		header(next.out.Header).Set(lane.HeaderAttempt, lane.Retry)
	}
	return next, nil, nil
}

// follow waits as long as it should after the attempt before, and picks an instance.
func (a *attempt) follow(ctx context.Context, before *attempt) (err error) {
	if !before.call.Pause(ctx) {
		return context.Cause(ctx)
	}
	a.call, err = before.call.Next(ctx, nil)
	return err
}

// callers returns the error of an attempt, and whether it is the caller's: the body of
// the request could not be read to its end, or the request is none that can be sent.
func (a *attempt) callers(err error) error {
	if err != nil && (a.kept != nil && a.kept.broken() || unsendable(err)) {
		return fmt.Errorf("%w: %w", resolver.ErrGivenUp, err)
	}
	return err
}

const headerListTooLarge = "http2: request header list larger"

// unsendable reports whether an error is one by which net/http refuses a request, of
// which no instance is to blame. They have no types; nothing that an instance says
// stands at the begin of an error.
func unsendable(err error) bool {
	text := err.Error()
	for _, begin := range []string{
		"net/http: invalid ", // method, header or trailer
		"invalid Trailer key ",
		"http2: invalid Trailer key ",
		"net/http: HTTP/1.x transport connection broken: http: ContentLength=",
		"http2: request body larger",
		headerListTooLarge,
	} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// idempotent reports whether a request may be carried out twice (RFC 9110, section
// 9.2.2); the headers are those that net/http goes by.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header["Idempotency-Key"]
	_, other := req.Header["X-Idempotency-Key"]
	return key || other || resolver.Idempotent(req.Context())
}

// kept is, for one attempt, the body of a request that cannot be had again. The body is
// closed only when it is known that no other attempt needs it, so that one whose
// connection was refused, which has read nothing, does not use it up. And kept knows
// whether the body could be read: that it could not is no fault of the instance.
type kept struct {
	body io.ReadCloser
	once sync.Once // closes it

	mu      sync.Mutex // guards what follows; the body is not read under it
	read    bool       // something was asked for
	reading bool       // is being asked for
	cut     bool       // it was closed meanwhile
	failed  bool       // it could not be read to the end
	closed  bool       // by its attempt, or it is over
	last    bool       // no attempt follows
}

// Read implements io.Reader.
func (k *kept) Read(p []byte) (int, error) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	k.read, k.reading = true, true
	k.mu.Unlock()
	n, err := k.body.Read(p)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reading = false
	if err != nil && err != io.EOF && !k.closed { // who reads after the end of an attempt finds it closed
		k.failed = true
	}
	return n, err
}

// abort ends a Read that waits, and lets none follow, as the time of the attempt is up:
// over HTTP/1, net/http would wait for it.
func (k *kept) abort() {
	k.mu.Lock()
	now := k.reading && !k.closed
	k.cut = k.cut || now
	k.closed = true
	k.mu.Unlock()
	if in, ok := k.body.(*incoming); ok && now {
		in.giveUp()
	} else if now {
		_ = k.shut()
	}
}

// late says that the time of the attempt was up. If the body was waited for, that is no
// fault of the instance.
func (k *kept) late() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = k.failed || k.cut || k.reading
}

func (k *kept) broken() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

// Close implements io.Closer.
func (k *kept) Close() error {
	k.mu.Lock()
	k.closed = true
	k.cut = k.cut || k.reading
	now := k.read || k.last
	k.mu.Unlock()
	if now {
		return k.shut()
	}
	return nil
}

func (k *kept) shut() (err error) {
	k.once.Do(func() { err = k.body.Close() })
	return err
}

// whole reports whether another attempt can have the body.
func (k *kept) whole() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed && !k.read
}

// again returns the body for another attempt: who still has that of the one before may
// come to use it.
func (k *kept) again() *kept { return &kept{body: k.body} }

// release says that no attempt follows.
func (k *kept) release() {
	k.mu.Lock()
	k.last = true
	now := k.closed && !k.read
	k.mu.Unlock()
	if now {
		_ = k.shut() // nothing was read of it
	}
}

// limited sends the attempt, and ends it if the head of its answer takes longer than
// d. What it has begun ends with the attempt.
func (a *attempt) limited(base http.RoundTripper, d time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(a.out.Context())
	late := &resolver.LimitError{After: d}
	timer := time.AfterFunc(d, func() { cancel(late) })
	a.out = *a.out.WithContext(ctx)
	a.cancel = func() { cancel(nil) }
	resp, err := a.carry(base)
	if timer.Stop() || context.Cause(ctx) != error(late) { //nolint:errorlint // this very one
		return resp, err
	}
	if err == nil {
		_ = resp.Body.Close() // it came too late
	}
	return nil, late
}
