package grpcx

import (
	"maps"
	"time"

	"google.golang.org/grpc"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
)

// ServerOption configures Interceptors, Serve or ServeListener.
type ServerOption func(*serverOptions)

type serverOptions struct {
	serving.Options
	grpc []grpc.ServerOption
}

// WithCarried names the metadata that travels on with a call's context, in place
// of lane.DefaultHeaders. What lane.Carriable refuses is left out.
func WithCarried(names ...string) ServerOption {
	return func(o *serverOptions) { o.Carry(names) }
}

// WithVersion says the version of this server: it is WithLabels for the label
// version.
func WithVersion(version string) ServerOption {
	return WithLabels(map[string]string{registry.KeyVersion: version})
}

// WithLabels says the labels of this server, besides those it was given already.
// Serve announces them; they beat the registrar's. They are not what rules of
// this process see as caller.*: give graylane.Open those.
func WithLabels(labels map[string]string) ServerOption {
	return func(o *serverOptions) { maps.Copy(o.Labels, labels) }
}

// WithLinger sets how long Serve serves on after it has withdrawn the instance,
// so that consumers that have not heard of it yet do not fail. Default: until no
// call came for 2 s, 10 s at most. Negative: not at all.
func WithLinger(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.Linger = d }
}

// WithDrainTimeout sets how long Serve waits, after the linger, for running
// calls to end. Default: 10 s.
func WithDrainTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.DrainTimeout = d }
}

// WithOnError makes Serve report what does not end it: that the registry cannot
// be reached, or did not confirm the withdrawal. It must not block.
func WithOnError(fn func(error)) ServerOption {
	return func(o *serverOptions) { o.OnError = fn }
}

// WithServerOptions gives Serve's grpc.Server options: credentials, limits,
// interceptors, which run inside of the package's own.
func WithServerOptions(opts ...grpc.ServerOption) ServerOption {
	return func(o *serverOptions) { o.grpc = append(o.grpc, opts...) }
}

func newServerOptions(opts []ServerOption) serverOptions {
	o := serverOptions{Options: serving.NewOptions()}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}
