package grpcx

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/resolver"
)

var (
	// errOtherPolicy fails all calls of a connection whose service config selects
	// another load balancing policy.
	errOtherPolicy = errors.New("grpcx: the service config does not select the policy " + policyName +
		": pass it by grpcx.WithServiceConfig")
	// errForeign says that a service config names the policy, but its connection
	// was not made by NewClient.
	errForeign = errors.New("grpcx: the policy " + policyName + " needs a connection made by grpcx.NewClient")
	// errUnsent is the outcome of an attempt whose connection was lost between the
	// pick and the send.
	errUnsent = fmt.Errorf("grpcx: the connection was lost before the call was sent: %w", resolver.ErrUnsent)
)

// callError is the gRPC status of a call that found no instance, with the reason.
type callError struct {
	status *status.Status
	cause  error
	grpc   error // what gRPC made of it; may be nil
}

func newError(code codes.Code, cause, grpc error) error {
	text := cause.Error()
	if said := status.Convert(grpc).Message(); strings.Contains(said, text) {
		text = said
	} else if said != "" {
		text = said + ": " + text
	}
	return &callError{status: status.New(code, text), cause: cause, grpc: grpc}
}

// Error is the text of the status.
func (e *callError) Error() string { return e.status.Err().Error() }

// GRPCStatus makes status.FromError and status.Code work.
func (e *callError) GRPCStatus() *status.Status { return e.status }

// Unwrap returns the reason and gRPC's error.
func (e *callError) Unwrap() []error { return []error{e.cause, e.grpc} }
