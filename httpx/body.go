package httpx

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/resolver"
)

// attempt is one request to one instance, and the body of its answer: the
// request is in flight until that body has ended. It is one allocation for all
// that an attempt needs.
type attempt struct {
	out    http.Request
	url    url.URL // out.URL
	call   resolver.Call
	kept   *kept  // the body that is sent, if it can be had once only
	cancel func() // ends what the attempt has begun, if its time is limited

	status  int
	version string
	leaving bool
	body    io.ReadCloser
	ended   atomic.Bool
}

// roundTrip sends the attempt to its instance; req is the caller's request.
func (a *attempt) roundTrip(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	a.url.Host = a.call.Addr()
	resp, err := a.send(base)
	if err != nil {
		a.end(err)
		// Not wrapped: url.Error.Timeout looks no deeper.
		return nil, err
	}
	a.status = resp.StatusCode
	if vs := resp.Header[canonical(VersionHeader)]; len(vs) > 0 {
		a.version = vs[0]
	}
	if name := canonical(serving.LeavingHeader); len(resp.Header[name]) > 0 {
		a.leaving = true
		delete(resp.Header, name) // it is about this hop
	}
	resp.Request = req
	a.call.Began(resolver.Outcome{Status: a.status, Leaving: a.leaving})
	if w, ok := resp.Body.(io.Writer); ok { // 101 Switching Protocols
		a.call.Answered()
		a.body = resp.Body
		resp.Body = upgraded{a, w}
		return resp, nil
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		a.call.Answered()
	}
	// Over HTTP/2 a body that is none is not NoBody, and trailers may follow it: what
	// would be cut off by the end of an attempt with a limit.
	if resp.Body == http.NoBody || resp.ContentLength == 0 && a.cancel == nil || req.Method == http.MethodHead {
		a.end(nil)
		return resp, nil
	}
	a.body = resp.Body
	resp.Body = a
	return resp, nil
}

// send sends the attempt within its limit.
func (a *attempt) send(base http.RoundTripper) (*http.Response, error) {
	if d := a.call.Timeout(); d > 0 {
		return a.limited(base, d)
	}
	return a.carry(base)
}

// carry sends the attempt. It does not wait for the request's body longer than the
// attempt may take.
func (a *attempt) carry(base http.RoundTripper) (*http.Response, error) {
	ctx := a.out.Context()
	if a.kept != nil {
		defer context.AfterFunc(ctx, a.kept.abort)()
	}
	resp, err := base.RoundTrip(&a.out)
	if err != nil && ctx.Err() != nil { // abort may not have been called yet
		if a.kept != nil {
			a.kept.late()
		}
		err = context.Cause(ctx) // and not that the body was closed
	}
	return resp, err
}

// Read reads the answer.
func (a *attempt) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if err != nil {
		a.end(err)
	}
	return n, err
}

// Close ends the attempt; it may come while Read runs.
func (a *attempt) Close() error {
	err := a.body.Close()
	a.end(nil)
	return err
}

// end tells the resolver, once, how the attempt ended.
func (a *attempt) end(err error) {
	if a.ended.Swap(true) {
		return
	}
	if errors.Is(err, io.EOF) && a.status != 0 {
		err = nil
	}
	a.call.Done(a.out.Context(), resolver.Outcome{Err: a.callers(err), Status: a.status, Version: a.version, Leaving: a.leaving})
	if a.cancel != nil {
		a.cancel()
	}
}

// upgraded is the body of an answer that became a two-way stream.
type upgraded struct {
	*attempt
	io.Writer
}

// CloseWrite says that nothing more will be written, while reading goes on.
func (u upgraded) CloseWrite() error {
	if w, ok := u.Writer.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
