package serving

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
)

// Options is what both faces let the owner of a server choose.
type Options struct {
	// Carried names the headers that travel on with a request's context, in lower
	// case.
	Carried []string
	// Labels of this server; they are announced, and beat those of the registrar.
	Labels               map[string]string
	Linger, DrainTimeout time.Duration
	OnError              func(error)
	// Edge says whose requests come from outside.
	Edge Edge
}

// NewOptions returns the defaults.
func NewOptions() Options {
	return Options{Carried: lane.DefaultHeaders(), Labels: map[string]string{}}
}

// Carry replaces the carried headers; case does not matter. Those that must not
// travel are left out.
func (o *Options) Carry(names []string) {
	o.Carried = make([]string, 0, len(names))
	for _, name := range names {
		if name = strings.ToLower(name); lane.Carriable(name) {
			o.Carried = append(o.Carried, name)
		}
	}
}

// Version returns the label version.
func (o *Options) Version() string { return o.Labels[registry.KeyVersion] }

// Run is the package's Run with these options, in the registrar's own namespace
// and group. All errors say which face serves what.
func (o *Options) Run(
	ctx context.Context, ln net.Listener, srv Server, reg registry.Registrar, face, service, protocol string,
) error {
	named := func(err error) error { return fmt.Errorf("%s: serve %q: %w", face, service, err) }
	c := Config{
		Registrar: reg, Service: registry.Service{Name: service}, Protocol: protocol, Labels: o.Labels,
		Linger: o.Linger, DrainTimeout: o.DrainTimeout,
	}
	if o.OnError != nil {
		c.OnError = func(err error) { o.OnError(named(err)) }
	}
	if err := Run(ctx, ln, srv, c); err != nil {
		return named(err)
	}
	return nil
}
