package resolver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/graylane/graylane/config"
)

var (
	// ErrUnknownService: the registry answered, and the service has never had an
	// instance.
	ErrUnknownService = errors.New("resolver: unknown service")
	// ErrNotReady: the registry or the source of documents has not answered
	// within the caller's context.
	ErrNotReady = errors.New("resolver: not ready")
	// ErrUnsent, in an Outcome: the attempt was not sent, which says nothing about its
	// instance.
	ErrUnsent = errors.New("resolver: not sent")
	// ErrGivenUp, in an Outcome: the attempt failed for a reason on the caller's side, its
	// request could not be read to the end, say. That says nothing about the instance.
	ErrGivenUp = errors.New("resolver: given up by the caller")
	// ErrClosed: the resolver or the view was closed.
	ErrClosed = errors.New("resolver: closed")
	// ErrCache: the disk cache does not work. Nothing else depends on it.
	ErrCache = errors.New("resolver: the cache of lists and documents does not work")
	// ErrTooManyServices: MaxServices views are open.
	ErrTooManyServices = errors.New("resolver: too many services")
	// ErrDocumentGone: a document that was in force was deleted or emptied. It
	// stays in force.
	ErrDocumentGone = errors.New("resolver: the document is gone, the last good one stays in force")
	// ErrNoDefault: no usable instance is left for the requests that no rule sends
	// elsewhere.
	ErrNoDefault = errors.New("resolver: the default has no usable instance")
	// ErrSeveralVersions: instances of several versions take requests side by side,
	// since neither a rule document nor WithDefaultVersion names a default.
	ErrSeveralVersions = errors.New("resolver: several versions serve, and no document names a default")
	// ErrNoDocument: the source of documents has not answered; requests are served
	// as if there were no document.
	ErrNoDocument = errors.New("resolver: no answer about the document, going on without it")
)

// RefusedError says that a document was refused; the last good one, if this process
// knows one, stays in force.
type RefusedError struct {
	DataID string
	MD5    string
	// Content is the refused version, read-only: config.Problem.Excerpt finds places in it.
	Content  []byte
	Problems config.Problems
	// LastGood is the md5 of the version in force, "" for none: then requests are
	// served as if there were no document.
	LastGood string
}

// Error has a line for each problem.
func (e *RefusedError) Error() string {
	then := "the last good one stays in force"
	if e.LastGood == "" {
		then = "this process has no last good one and goes on without a document"
	}
	return fmt.Sprintf("resolver: document %s (md5 %s) is refused, %s:\n%v", e.DataID, e.MD5, then, e.Problems.Err())
}

// LimitError is the error of an attempt that took longer than the document's `limits`
// allow, see Call.Timeout. It is a context.DeadlineExceeded.
type LimitError struct{ After time.Duration }

// Error says how long that was.
func (e *LimitError) Error() string {
	return "resolver: no answer within " + e.After.String() + ", the limit of the rule document"
}

// Timeout implements net.Error, as url.Error asks for.
func (*LimitError) Timeout() bool { return true }

// Temporary implements net.Error.
func (*LimitError) Temporary() bool { return true }

// Is makes it a context.DeadlineExceeded.
func (*LimitError) Is(target error) bool { return target == context.DeadlineExceeded }
