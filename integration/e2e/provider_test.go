package e2e

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
)

// provider is a process of a real system, as far as Nacos and consumers can
// tell: a client of its own, and servers.
type provider struct {
	stage   *stage
	version string
	labels  map[string]string
	client  *graylane.Client
	servers map[string]*listener // by protocol

	ctx  context.Context // the process's life
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// listener counts what it accepts, and its server what it serves.
type listener struct {
	net.Listener
	addr          string
	conns, served atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conns.Add(1)
	}
	return c, err
}

func listen(t *testing.T) *listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return &listener{Listener: ln, addr: ln.Addr().String()}
}

// provide starts an instance of the stage's service over HTTP and one over gRPC,
// until the end of the test.
func (s *stage) provide(version string, labels map[string]string) *provider {
	s.t.Helper()
	p := s.newProvider(version, labels)
	p.serveHTTP(s.service, http.HandlerFunc(p.hello))
	p.serveGRPC(s.service)
	return p
}

// provideAll starts an instance for each of the versions.
func (s *stage) provideAll(versions ...string) []*provider {
	s.t.Helper()
	out := make([]*provider, len(versions))
	for i, v := range versions {
		out[i] = s.provide(v, nil)
	}
	return out
}

func (s *stage) newProvider(version string, labels map[string]string, opts ...graylane.Option) *provider {
	s.t.Helper()
	client, err := graylane.Open(s.t.Context(), append(opts, graylane.WithServers(s.nacos.addr),
		graylane.WithIP("127.0.0.1"), graylane.WithVersion(version), graylane.WithLabels(labels))...)
	require.NoError(s.t, err)
	p := &provider{stage: s, version: version, client: client, servers: map[string]*listener{}}
	p.labels = map[string]string{"version": version}
	maps.Copy(p.labels, labels)
	p.ctx, p.stop = context.WithCancel(context.Background()) // it outlives the consumers, which leave in the cleanup
	s.t.Cleanup(func() {
		p.stop()
		p.wg.Wait()
		assert.NoError(s.t, p.client.Close())
	})
	return p
}

// hello counts the request; the rest is done by httpx.
func (p *provider) hello(w http.ResponseWriter, _ *http.Request) {
	p.servers["http"].served.Add(1)
	_, _ = io.WriteString(w, "hello")
}

func (p *provider) serveHTTP(service string, h http.Handler) {
	p.serve("http", service, func(ln net.Listener) error {
		return httpx.ServeListener(p.ctx, p.client, service, ln, h, httpx.WithLinger(-1))
	})
}

func (p *provider) serveGRPC(service string) {
	p.serve("grpc", service, func(ln net.Listener) error {
		return grpcx.ServeListener(p.ctx, p.client, service, ln, func(s *grpc.Server) {
			hello.RegisterHelloServer(s, &greeter{version: p.version, served: &p.servers["grpc"].served})
		}, grpcx.WithLinger(-1))
	})
}

// serve runs a server and tells the judge.
func (p *provider) serve(protocol, service string, run func(net.Listener) error) {
	p.stage.t.Helper()
	ln := listen(p.stage.t)
	p.servers[protocol] = ln
	p.stage.started(protocol, judge.Instance{
		Service: service, Addr: ln.addr, Version: p.version, Labels: p.labels, From: p.stage.recorder.Now(),
	})
	p.wg.Go(func() { assert.NoError(p.stage.t, run(ln)) })
}

// greeter is the gRPC service.
type greeter struct {
	hello.UnimplementedHelloServer
	version string
	served  *atomic.Int64
}

func (g *greeter) Say(context.Context, *hello.HelloRequest) (*hello.HelloReply, error) {
	g.served.Add(1)
	return &hello.HelloReply{Version: g.version}, nil
}
