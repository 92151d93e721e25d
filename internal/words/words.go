// Package words has the words that metrics, spans and log lines share.
package words

import (
	"errors"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// Service names a service: its name, and its group before that if it is not the default
// one. A process is at home in one namespace.
func Service(s registry.Service) string {
	if s.Group == registry.DefaultGroup || s.Group == "" {
		return s.Name
	}
	return s.Group + "/" + s.Name
}

// Reason is why a request found no instance.
type Reason uint8

// The reasons; Reasons is how many there are.
const (
	Other Reason = iota
	NoInstance
	UnknownTarget
	UnknownService
	NotReady
	Skipped
	Closed
	Reasons
)

// String returns "other", "no_instance" and so on.
func (r Reason) String() string {
	names := [Reasons]string{"other", "no_instance", "unknown_target", "unknown_service", "not_ready", "skipped", "closed"}
	return names[r%Reasons]
}

// ReasonOf finds the reason in the error of a pick.
func ReasonOf(err error) Reason {
	switch {
	case errors.Is(err, balancer.ErrNoInstance):
		return NoInstance
	case errors.Is(err, balancer.ErrUnknownTarget):
		return UnknownTarget
	case errors.Is(err, balancer.ErrSkipped):
		return Skipped
	case errors.Is(err, resolver.ErrUnknownService):
		return UnknownService
	case errors.Is(err, resolver.ErrNotReady):
		return NotReady
	case errors.Is(err, resolver.ErrClosed), errors.Is(err, registry.ErrClosed):
		return Closed
	}
	return Other
}

// Results is how many results of an attempt there are.
const Results = balancer.Unreachable + 1

// Result returns what an attempt's end says: "nothing" if its caller left.
func Result(v balancer.Verdict) string {
	names := [Results]string{"nothing", "good", "bad", "unreachable"}
	return names[v%Results]
}
