package balancer

import (
	"errors"
	"fmt"
)

var (
	// ErrNoInstance: the rules leave no instance for the request. HTTP 503, gRPC
	// Unavailable.
	ErrNoInstance = errors.New("no instance")
	// ErrUnknownTarget: the request names a target that the rules do not know,
	// and the rule says that this is an error. HTTP 400, gRPC InvalidArgument.
	ErrUnknownTarget = errors.New("unknown target")
	// ErrSkipped: there are candidates, but the caller skips all of them.
	ErrSkipped = errors.New("all candidates are skipped")
)

// Error is a request that found no instance. It wraps one of the errors above.
type Error struct {
	Service  string
	Decision Decision
	Err      error
	// There says which versions there are, for those who look for the reason:
	// "v1 ×3, v2 ×1 (0 usable)", or "none".
	There string
}

// Error names the service, the deciding rule and the target.
func (e *Error) Error() string {
	d := &e.Decision
	by := d.Via.String()
	if d.Rule != "" {
		by += fmt.Sprintf(" %q", d.Rule)
	}
	text := fmt.Sprintf("balancer: service %q: %v: target %q, by %s", e.Service, e.Err, d.Target, by)
	if e.There != "" {
		text += "; there are: " + e.There
	}
	return text
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }
