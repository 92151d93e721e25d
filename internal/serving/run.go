package serving

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"time"

	"github.com/graylane/graylane/registry"
)

// Run serves on ln until ctx ends, then ends in order: not ready, withdrawn from
// the registry, serving on for the linger, drained, closed. It returns nil if
// the end was clean; otherwise why the server failed, or that running requests
// outlived DrainTimeout and were cut off.
//
// A registry that cannot be reached never stops the server: the registration
// stays pending, the server not ready, and OnError hears of it. Only what can
// never be announced (registry.ErrInvalid) ends Run at once.
//
// Run owns ln and starts nothing that outlives it.
func Run(ctx context.Context, ln net.Listener, srv Server, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return errors.Join(err, ln.Close())
	}
	r := run{Config: cfg, srv: srv, served: make(chan struct{})}

	// A server that ends by itself ends the context, so that the order below is
	// the same whatever came first.
	ctx, end := context.WithCancel(ctx)
	defer end()
	var served error
	go func() {
		defer end()
		defer close(r.served) // before end: who sees the context's end sees this too
		served = srv.Serve(ln)
	}()

	err := r.announce(ctx, ln.Addr().String())
	srv.SetReady(false)
	// What follows must happen although ctx has ended.
	ctx = context.WithoutCancel(ctx)
	byItself := r.ended()
	r.withdraw(ctx)
	if err == nil && !byItself {
		err = r.drain(ctx)
	}
	// Closing a drained server fails at most for what Drain closed already.
	_ = srv.Close()
	<-r.served
	switch {
	case served != nil:
		return served
	case byItself:
		return errors.New("the server ended by itself")
	}
	return err
}

// run is one Run. It is used by one goroutine.
type run struct {
	Config
	srv          Server
	served       chan struct{}         // closed when Serve has returned
	registration registry.Registration // nil until Register succeeded
}

// announce registers the server, says when it is ready, and returns when ctx has
// ended; earlier only if the instance can never be registered.
func (r *run) announce(ctx context.Context, addr string) error {
	in := registry.NewInstance(addr)
	in.Metadata = maps.Clone(r.Labels)
	if in.Metadata == nil {
		in.Metadata = map[string]string{}
	}
	in.Metadata[registry.KeyProtocol] = r.Protocol

	patience := FirstReport
	for ctx.Err() == nil {
		again := time.Now().Add(patience)
		err := r.register(ctx, in, patience)
		switch {
		case err == nil:
			r.srv.SetReady(true)
			<-ctx.Done()
		case errors.Is(err, registry.ErrInvalid):
			return err // it would never be announced
		case ctx.Err() == nil:
			r.OnError(fmt.Errorf("not registered yet: %w", err))
			wait(ctx.Done(), time.Until(again))
			patience = ReportInterval
		}
	}
	return nil
}

// register registers the instance, if that has not been done, and waits for the
// registry to accept it.
func (r *run) register(ctx context.Context, in registry.Instance, patience time.Duration) error {
	if r.registration == nil {
		registration, err := r.Registrar.Register(ctx, r.Service, in)
		if err != nil {
			return err
		}
		r.registration = registration
		r.srv.Registered(registration.Instance())
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.registration.Ready(ctx)
}

// withdraw takes the server out of the registry.
func (r *run) withdraw(ctx context.Context) {
	if r.registration == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.WithdrawTimeout)
	defer cancel()
	if err := r.registration.Close(ctx); err != nil {
		r.OnError(fmt.Errorf("may still be registered: %w", err))
	}
}

// drain serves on until the consumers have left, then waits for what runs.
func (r *run) drain(ctx context.Context) error {
	if r.registration != nil {
		r.linger()
	}
	ctx, cancel := context.WithTimeout(ctx, r.DrainTimeout)
	defer cancel()
	if err := r.srv.Drain(ctx); err != nil {
		return fmt.Errorf("requests that ran for another %s were cut off: %w", r.DrainTimeout, err)
	}
	return nil
}

// linger returns after Linger, or when no request came for Quiet, or when the
// server has ended.
func (r *run) linger() {
	withdrawn := time.Now()
	for !r.ended() {
		newest := r.srv.LastRequest()
		if newest.Before(withdrawn) {
			newest = withdrawn
		}
		left := min(time.Until(newest.Add(r.Quiet)), time.Until(withdrawn.Add(r.Linger)))
		if left <= 0 {
			return
		}
		wait(r.served, left)
	}
}

// ended reports whether Serve has returned.
func (r *run) ended() bool {
	select {
	case <-r.served:
		return true
	default:
		return false
	}
}

// wait returns after d, earlier when done is closed.
func wait(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
}
