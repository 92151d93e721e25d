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
}

// Error names the service, the deciding rule and the target.
func (e *Error) Error() string {
	d := &e.Decision
	return fmt.Sprintf("balancer: service %q: %v (via %s, rule %q, target %q)", e.Service, e.Err, d.Via, d.Rule, d.Target)
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }
