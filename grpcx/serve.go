package grpcx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
)

// Serve listens on addr ("host:port") and serves as an instance of service until
// ctx ends; see [ServeListener]. The address must be one that consumers can
// reach, unless the registrar knows the host and replaces an empty one.
func Serve(
	ctx context.Context, reg registry.Registrar, service, addr string, register func(*grpc.Server), opts ...ServerOption,
) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("grpcx: serve %q: %w", service, err)
	}
	return ServeListener(ctx, reg, service, ln, register, opts...)
}

// ServeListener runs a gRPC server on ln as an instance of service, in the
// namespace and group of reg, until ctx ends. Register adds the services to the
// server, which has [Interceptors] and the standard health service, unless
// register brings its own.
//
//   - It registers once the port accepts, with the label protocol=grpc, and then
//     answers health checks with SERVING, of the server ("") and of each of its
//     services. As long as the registry cannot be reached it serves those who
//     know its address, and reports to [WithOnError].
//   - When ctx ends it answers health checks with NOT_SERVING, withdraws the
//     instance, serves on until the consumers have seen that ([WithLinger]),
//     waits for the running calls ([WithDrainTimeout]), and closes. No call fails.
//
// It returns nil after such an end, otherwise why the server failed, or that
// running calls were cut off. It closes ln, takes no signals, and leaves nothing
// running but handlers that do not heed their context.
func ServeListener(
	ctx context.Context, reg registry.Registrar, service string, ln net.Listener, register func(*grpc.Server), opts ...ServerOption,
) error {
	o := newServerOptions(opts)
	return o.Run(ctx, ln, newServer(register, o), reg, "grpcx", service, protocol)
}

// server is a grpc.Server as package serving leads it.
type server struct {
	grpc   *grpc.Server
	health *health.Server // nil if register brought its own
	in     *incoming
	ready  bool
}

var _ serving.Server = (*server)(nil)

func newServer(register func(*grpc.Server), o serverOptions) *server {
	in := newIncoming(o)
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
	if s.ready && !ready {
		s.in.leave()
	}
	s.ready = ready
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
