package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
)

// provider is one process of a real system: a client of its own, and servers.
type provider struct {
	addrs  []string // of its servers
	client *graylane.Client
	ctx    context.Context //nolint:containedctx // the process's life
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// startUser starts an instance of the user service: one name, over HTTP and gRPC.
func startUser(ctx context.Context, nacos, version, laneName string) (*provider, error) {
	p, err := newProvider(ctx, nacos, version, laneName)
	if err != nil {
		return nil, err
	}
	err = p.listen(ctx, func(ctx context.Context, ln net.Listener) error {
		return httpx.ServeListener(ctx, p.client, userService, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "hello from %s\n", version)
		}), httpx.WithLinger(-1))
	})
	if err != nil {
		return p, err
	}
	err = p.listen(ctx, func(ctx context.Context, ln net.Listener) error {
		return grpcx.ServeListener(ctx, p.client, userService, ln, func(s *grpc.Server) {
			hello.RegisterHelloServer(s, &greeter{version: version})
		}, grpcx.WithLinger(-1))
	})
	return p, err
}

type greeter struct {
	hello.UnimplementedHelloServer
	version string
}

func (g *greeter) Say(context.Context, *hello.HelloRequest) (*hello.HelloReply, error) {
	return &hello.HelloReply{Message: "hello", Version: g.version}, nil
}

// startOrder starts the order service, which calls the user service. It knows
// nothing of lanes: the request's context carries them on.
func startOrder(ctx context.Context, s *stage) (*provider, error) {
	p, err := newProvider(ctx, s.addr, "v1", "", graylane.WithHooks(s.recorder.Hooks()))
	if err != nil {
		return nil, err
	}
	users, err := grpcx.NewClient(p.client.Resolver(), userService, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	say := hello.NewHelloClient(users)
	var n atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := lane.Header(r.Context(), lane.HeaderUser)
		ctx, answered := s.recorder.Begin(r.Context(), judge.Request{
			ID: fmt.Sprint("order-", n.Add(1)), Protocol: "grpc", Service: userService,
			Method: http.MethodPost, Path: hello.Hello_Say_FullMethodName,
			Headers: map[string]string{lane.HeaderUser: user}, Lane: lane.From(r.Context()),
		})
		reply, err := say.Say(ctx, &hello.HelloRequest{Name: user})
		answered(reply.GetVersion(), err)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.WriteString(w, reply.GetVersion()) //nolint:errcheck // the caller has left
	})
	from := s.recorder.Now()
	err = p.listen(ctx, func(ctx context.Context, ln net.Listener) error {
		defer users.Close()
		return httpx.ServeListener(ctx, p.client, orderService, ln, handler, httpx.WithLinger(-1))
	})
	if err == nil {
		s.fact(orderService, p.addrs[0], "v1", "", from)
	}
	return p, err
}

func newProvider(ctx context.Context, nacos, version, laneName string, opts ...graylane.Option) (*provider, error) {
	labels := map[string]string{"env": "demo"}
	if laneName != "" {
		labels["lane"] = laneName
	}
	client, err := graylane.Open(ctx, append(opts, graylane.WithServers(nacos), graylane.WithCacheDir("off"), graylane.WithIP("127.0.0.1"),
		graylane.WithVersion(version), graylane.WithLabels(labels))...)
	if err != nil {
		return nil, err
	}
	p := &provider{client: client}
	p.ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx)) // Ctrl-C ends the consumer first
	return p, nil
}

// listen runs one server on a free port until the provider closes.
func (p *provider) listen(ctx context.Context, serve func(context.Context, net.Listener) error) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.addrs = append(p.addrs, ln.Addr().String())
	p.wg.Go(func() {
		if err := serve(p.ctx, ln); err != nil {
			log.Print("quickstart: ", err)
		}
	})
	return nil
}

// close withdraws the servers and ends them. They do not linger: the consumer
// has ended before them.
func (p *provider) close() {
	p.stop()
	p.wg.Wait()
	if err := p.client.Close(); err != nil {
		log.Print("quickstart: ", err)
	}
}
