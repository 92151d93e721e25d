package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// envProvider makes a process a provider; it holds one as JSON.
const envProvider = "FLEET_PROVIDER"

// Provider says what a process serves: one instance over HTTP, and one over gRPC
// that answers hello.Hello, each of which says its version.
type Provider struct {
	Servers []string // of Nacos
	Service string
	Version string
	// Addrs are where to listen, by protocol ("http", "grpc"). Without one it is a
	// random port of 127.0.0.1.
	Addrs map[string]string
}

// Protocols are those that a provider speaks.
func Protocols() []string { return []string{"http", "grpc"} }

// Play makes this process the provider that its environment asks for, and
// returns when that has ended. False: it was asked for nothing. It is the first
// thing that TestMain calls.
func Play() (bool, error) {
	text := os.Getenv(envProvider)
	if text == "" {
		return false, nil
	}
	var p Provider
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return true, fmt.Errorf("fleet: %s: %w", envProvider, err)
	}
	return true, p.play()
}

// play is a provider as users write one, but for the ports, which it prints.
func (p Provider) play() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3) // the test is gone
	}()
	gl, err := graylane.Open(ctx, graylane.WithServers(p.Servers...), graylane.WithIP("127.0.0.1"), graylane.WithVersion(p.Version),
		graylane.WithHooks(resolver.Hooks{OnError: func(_ registry.Service, err error) { complain(err) }}))
	if err != nil {
		return err
	}
	addrs := map[string]string{}
	served := make(chan error, 2)
	for _, protocol := range Protocols() {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", p.at(protocol))
		if err != nil {
			return err
		}
		addrs[protocol] = ln.Addr().String()
		go func() { served <- p.serve(ctx, gl, protocol, ln) }()
	}
	if err := json.NewEncoder(os.Stdout).Encode(addrs); err != nil {
		return err
	}
	return errors.Join(<-served, <-served, gl.Close())
}

func (p Provider) at(protocol string) string {
	if addr := p.Addrs[protocol]; addr != "" {
		return addr
	}
	return "127.0.0.1:0"
}

func (p Provider) serve(ctx context.Context, gl *graylane.Client, protocol string, ln net.Listener) error {
	if protocol == "grpc" {
		return grpcx.ServeListener(ctx, gl, p.Service, ln, func(s *grpc.Server) {
			hello.RegisterHelloServer(s, greeter{version: p.Version})
		}, grpcx.WithOnError(complain))
	}
	return httpx.ServeListener(ctx, gl, p.Service, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}), httpx.WithOnError(complain))
}

// complain says what goes wrong, for the test's output.
func complain(err error) { fmt.Fprintln(os.Stderr, "fleet: a provider:", err) }

// greeter is the gRPC service.
type greeter struct {
	hello.UnimplementedHelloServer
	version string
}

func (g greeter) Say(context.Context, *hello.HelloRequest) (*hello.HelloReply, error) {
	return &hello.HelloReply{Version: g.version}, nil
}
