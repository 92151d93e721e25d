package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
)

// Headers, and metadata keys, of a request and its answer.
const (
	headerID       = "x-request-id"
	headerInstance = "x-instance"
)

// work is how long a request takes.
const work = 2 * time.Millisecond

// providerRole says what a provider's process is: an instance of two services.
type providerRole struct {
	Servers []string // of Nacos
	Service string   // see httpService
	Version string
	Name    string // of the instance, in its answers
	// Addrs are where to listen: "http", "grpc", "control". Without one it is a
	// random port of 127.0.0.1.
	Addrs map[string]string
	// Sends is the file that gets a line for each request that arrives. It
	// outlives a process that is killed.
	Sends string
}

// behaviour is how a provider treats requests. It is changed over the control
// address, as JSON.
type behaviour struct {
	Fail float64       // share of requests that are answered 503, or Unavailable
	Slow time.Duration // on top of work
	Hang bool          // no answer, until the caller leaves
}

// provider is a providerRole at work.
type provider struct {
	hello.UnimplementedHelloServer

	providerRole
	instance string
	sends    *os.File
	now      atomic.Pointer[behaviour]
}

// play is a provider as users write one, but for the ports, which it prints.
func (r *providerRole) play() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go exitWithParent()
	sends, err := os.OpenFile(r.Sends, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = sends.Close() }()
	p := &provider{providerRole: *r, instance: fmt.Sprintf("%s/%d", r.Name, os.Getpid()), sends: sends}
	p.now.Store(&behaviour{})
	gl, err := graylane.Open(ctx, graylane.WithServers(r.Servers...), graylane.WithIP("127.0.0.1"), graylane.WithVersion(r.Version))
	if err != nil {
		return err
	}
	listeners, addrs := map[string]net.Listener{}, map[string]string{}
	for _, name := range []string{"http", "grpc", "control"} {
		addr := r.Addrs[name]
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		listeners[name], addrs[name] = ln, ln.Addr().String()
	}
	control := &http.Server{Handler: http.HandlerFunc(p.control), ReadHeaderTimeout: patience}
	defer func() { _ = control.Close() }()
	go func() { _ = control.Serve(listeners["control"]) }()
	served := make(chan error, 2)
	go func() {
		served <- httpx.ServeListener(ctx, gl, httpService(r.Service), listeners["http"], http.HandlerFunc(p.answer))
	}()
	go func() {
		served <- grpcx.ServeListener(ctx, gl, grpcService(r.Service), listeners["grpc"], func(s *grpc.Server) {
			hello.RegisterHelloServer(s, p)
		})
	}()
	if err := say(addrs); err != nil {
		return err
	}
	return errors.Join(<-served, <-served, gl.Close())
}

func (p *provider) control(w http.ResponseWriter, r *http.Request) {
	var b behaviour
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.now.Store(&b)
}

// serve notes a request and works for it. False: it fails.
func (p *provider) serve(ctx context.Context, id string) bool {
	_, _ = p.sends.WriteString(id + "\n") // one write: lines of several requests do not mix
	b := p.now.Load()
	if b.Hang {
		<-ctx.Done()
		return false
	}
	if b.Fail > 0 && rand.Float64() < b.Fail {
		return false
	}
	select {
	case <-time.After(work + b.Slow):
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *provider) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(headerInstance, p.instance)
	if !p.serve(r.Context(), r.Header.Get(headerID)) {
		http.Error(w, "this provider was told to fail", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "hello")
}

// Say implements hello.HelloServer.
func (p *provider) Say(ctx context.Context, _ *hello.HelloRequest) (*hello.HelloReply, error) {
	id := ""
	if ids := metadata.ValueFromIncomingContext(ctx, headerID); len(ids) > 0 {
		id = ids[0]
	}
	if !p.serve(ctx, id) {
		return nil, status.Error(codes.Unavailable, "this provider was told to fail")
	}
	return &hello.HelloReply{Instance: p.instance, Version: p.Version}, nil
}
