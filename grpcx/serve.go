package grpcx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
)

// Option configures Serve.
type Option func(*options)

type options struct {
	config  serving.Config
	carried []string
	grpc    []grpc.ServerOption
}

// WithServerOptions adds options of the grpc.Server: credentials, limits,
// interceptors. Interceptors run inside of the package's own.
func WithServerOptions(opts ...grpc.ServerOption) Option {
	return func(o *options) { o.grpc = append(o.grpc, opts...) }
}

// WithCarried names the metadata that travels on in a call's context, instead of
// lane.DefaultHeaders.
func WithCarried(names ...string) Option {
	return func(o *options) { o.carried = slices.Clone(names) }
}

// WithLabels adds labels to the announced instance, such as its version; they
// beat those of the registrar.
func WithLabels(labels map[string]string) Option {
	labels = maps.Clone(labels)
	return func(o *options) { o.config.Labels = labels }
}

// WithLinger sets how long the server goes on serving after it was withdrawn
// from the registry, so that consumers that still know it do not fail: default
// 3s, earlier if no call came for 1s; negative: not at all.
func WithLinger(d time.Duration) Option {
	return func(o *options) { o.config.Linger = d }
}

// WithDrainTimeout sets how long running calls may take to end before they are
// cut off; default 10s.
func WithDrainTimeout(d time.Duration) Option {
	return func(o *options) { o.config.DrainTimeout = d }
}

// WithErrorHandler sets who is told what does not end the server: that the
// registry cannot be reached, or did not confirm the withdrawal. Default: nobody.
func WithErrorHandler(fn func(error)) Option {
	return func(o *options) { o.config.OnError = fn }
}

// Serve listens on addr ("ip:port") and is ServeListener.
func Serve(ctx context.Context, reg registry.Registrar, service, addr string, register func(*grpc.Server), opts ...Option) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("grpcx: %w", err)
	}
	return ServeListener(ctx, reg, service, ln, register, opts...)
}

// ServeListener runs a gRPC server on ln until ctx ends. Register adds the
// services to the server.
//
// The server is announced, labelled `protocol: grpc`, once it accepts. When ctx
// ends it is withdrawn, serves on until the consumers have left, ends running
// calls in order, and returns nil; an error says that running calls were cut
// off, or why the server failed or can never be announced. A registry that
// cannot be reached does not stop it.
//
// The standard health service is there, unless register brings one: it answers
// NOT_SERVING, for the server ("") and for each of its services, until the
// registry has accepted the instance and again from the end of ctx. Handlers
// find in their context what travels with the call (package lane).
//
// ServeListener closes ln, and leaves no goroutine behind but those of handlers
// that do not heed their context.
func ServeListener(ctx context.Context, reg registry.Registrar, service string, ln net.Listener,
	register func(*grpc.Server), opts ...Option,
) error {
	o := options{config: serving.Config{
		Registrar: reg,
		Service:   registry.Service{Name: service},
		Protocol:  protocol,
	}}
	for _, opt := range opts {
		opt(&o)
	}
	return serving.Run(ctx, ln, newServer(register, &o), o.config)
}

// server is a grpc.Server as package serving leads it.
type server struct {
	grpc   *grpc.Server
	health *health.Server // nil if register brought its own
	in     *incoming
}

func newServer(register func(*grpc.Server), o *options) *server {
	in := newIncoming(o.carried)
	s := &server{grpc: grpc.NewServer(slices.Concat(in.options(), o.grpc)...), in: in}
	register(s.grpc)
	if _, has := s.grpc.GetServiceInfo()[healthpb.Health_ServiceDesc.ServiceName]; !has {
		s.health = health.NewServer()
		healthpb.RegisterHealthServer(s.grpc, s.health)
	}
	s.SetReady(false)
	return s
}

// Serve implements serving.Server.
func (s *server) Serve(ln net.Listener) error {
	if err := s.grpc.Serve(ln); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Registered implements serving.Server.
func (s *server) Registered(in registry.Instance) { s.in.setVersion(in.Version()) }

// SetReady implements serving.Server.
func (s *server) SetReady(ready bool) {
	if s.health == nil {
		return
	}
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		status = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, status)
	}
}

// Drain implements serving.Server.
func (s *server) Drain(ctx context.Context) error {
	s.in.drain()
	defer context.AfterFunc(ctx, s.grpc.Stop)() // which ends GracefulStop
	s.grpc.GracefulStop()
	return context.Cause(ctx)
}

// Close implements serving.Server.
func (s *server) Close() error {
	s.in.drain()
	s.grpc.Stop()
	return nil
}

// LastRequest implements serving.Server.
func (s *server) LastRequest() time.Time { return s.in.lastRequest() }
