package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/graylane/graylane/registry"
)

// VersionHeader is the response header, in gRPC the trailer, by which a server
// says its version.
const VersionHeader = "x-app-version"

// LeavingHeader is on the answers of a server that is about to end, as VersionHeader is:
// "1". Who holds its instance, though the registry does not list it any more, knows by
// it that the registry is right.
const LeavingHeader = "x-gray-leaving"

// Defaults of Config.
const (
	// DefaultLinger covers how long a withdrawal takes to reach every consumer:
	// Nacos merges pushes for 0.5 s and syncs its nodes within another second, but
	// where that fails on busy nodes it tries again after 3 s, and repeats a push
	// that is not acknowledged after 6 s.
	DefaultLinger = 10 * time.Second
	// DefaultQuiet is how long no request must come to end the linger early, as it
	// nearly always does. It is longer than a withdrawal takes on nodes that are
	// not busy (1.8 s): a consumer that calls seldom must not meet a server that
	// has gone.
	DefaultQuiet = 2 * time.Second
	// DefaultWithdrawTimeout bounds the withdrawal from the registry.
	DefaultWithdrawTimeout = 2 * time.Second
	// DefaultDrainTimeout bounds the wait for running requests.
	DefaultDrainTimeout = 10 * time.Second
)

const (
	// FirstReport is how soon a registration that is still pending is reported.
	FirstReport = time.Second
	// ReportInterval is how often it is reported from then on, and how soon one
	// that failed again is tried.
	ReportInterval = 10 * time.Second
)

// Server is one protocol's server. Run calls Serve on a goroutine of its own,
// and everything else from one goroutine, after Serve was called; Close may come
// before Serve has begun.
type Server interface {
	// Serve accepts from ln and blocks; it closes ln. It returns nil after Drain
	// or Close, and the reason if it ends by itself.
	Serve(ln net.Listener) error
	// Registered says what is announced, defaults filled in; it is called once,
	// before SetReady(true).
	Registered(in registry.Instance)
	// SetReady sets what health checks are answered; not ready at first. A server that
	// was ready, and is not any more, is leaving and says so in its answers.
	SetReady(ready bool)
	// Drain accepts nothing more and waits for what runs, as long as ctx allows.
	Drain(ctx context.Context) error
	// Close ends the server and whatever still runs.
	Close() error
	// LastRequest is when the newest request began; zero if there was none.
	// Health checks are no requests.
	LastRequest() time.Time
}

// Config says where a server is announced, and how it ends. Of the durations 0
// is the default.
type Config struct {
	Registrar registry.Registrar
	Service   registry.Service
	// Protocol is written as the label registry.KeyProtocol.
	Protocol string
	// Labels are announced besides; they beat those of the registrar.
	Labels map[string]string

	// Linger is how long the server serves on after its withdrawal, so that
	// consumers that still know it do not fail. Negative: not at all.
	Linger time.Duration
	// Quiet ends the linger once no request came for so long since the
	// withdrawal.
	Quiet           time.Duration
	WithdrawTimeout time.Duration
	DrainTimeout    time.Duration

	// OnError is told what does not end the server: that the registry cannot be
	// reached, or did not confirm the withdrawal. Nil: nobody is.
	OnError func(error)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.Linger, DefaultLinger)
	set(&c.Quiet, DefaultQuiet)
	set(&c.WithdrawTimeout, DefaultWithdrawTimeout)
	set(&c.DrainTimeout, DefaultDrainTimeout)
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Registrar == nil {
		errs = append(errs, errors.New("no registrar"))
	}
	if err := c.Service.Validate(); err != nil {
		errs = append(errs, err)
	}
	for name, d := range map[string]time.Duration{
		"quiet": c.Quiet, "withdraw timeout": c.WithdrawTimeout, "drain timeout": c.DrainTimeout,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("negative %s %s", name, d))
		}
	}
	return errors.Join(errs...)
}
