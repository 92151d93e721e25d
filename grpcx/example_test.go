package grpcx_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

type english struct {
	hello.UnimplementedHelloServer
}

func (english) Say(_ context.Context, req *hello.HelloRequest) (*hello.HelloReply, error) {
	return &hello.HelloReply{Message: "hello " + req.GetName()}, nil
}

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	reg := memory.New() // in production: a graylane.Client

	// A provider.
	served := make(chan error)
	go func() {
		served <- grpcx.Serve(ctx, reg, "greeter", "127.0.0.1:0", func(s *grpc.Server) {
			hello.RegisterHelloServer(s, english{})
		}, grpcx.WithVersion("v1"), grpcx.WithLinger(-1))
	}()

	// A consumer.
	r, err := resolver.New(reg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	cc, err := grpcx.NewClient(r, "greeter", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := hello.NewHelloClient(cc).Say(ctx, &hello.HelloRequest{Name: "world"}, grpc.WaitForReady(true))
	fmt.Println(reply.GetMessage(), err)

	fmt.Println(cc.Close(), r.Close())
	stop()
	fmt.Println(<-served)
	// Output:
	// hello world <nil>
	// <nil> <nil>
	// <nil>
}

func ExampleWithServiceConfig() {
	r, err := resolver.New(memory.New(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	cc, err := grpcx.NewClient(r, "greeter",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A retry goes to another instance of the same version.
		grpcx.WithServiceConfig(`{"methodConfig": [{
			"name": [{"service": "graylane.hello.v1.Hello"}],
			"timeout": "1s",
			"retryPolicy": {
				"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
				"retryableStatusCodes": ["UNAVAILABLE"]
			}
		}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cc.Target(), cc.Close(), r.Close())
	// Output: graylane:///greeter <nil> <nil>
}

func ExampleInterceptors() {
	// A server whose life is led elsewhere: it still tells its version, and what
	// travels with a call is in the handlers' context.
	s := grpc.NewServer(grpcx.Interceptors(grpcx.WithVersion("v1"))...)
	hello.RegisterHelloServer(s, english{})
	defer s.Stop() // or s.Serve(listener)
	fmt.Println(len(s.GetServiceInfo()), "service")
	// Output: 1 service
}

func ExampleNewClient() {
	r, err := resolver.New(memory.New(), nil) // in production: the Resolver of a graylane.Client
	if err != nil {
		fmt.Println(err)
		return
	}
	cc, err := grpcx.NewClient(r, "greeter", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cc.Target(), cc.Close(), r.Close())
	// Output: graylane:///greeter <nil> <nil>
}

func ExampleServe() {
	ctx, stop := context.WithCancel(context.Background()) // in production: signal.NotifyContext
	time.AfterFunc(100*time.Millisecond, stop)
	err := grpcx.Serve(ctx, memory.New(), "greeter", "127.0.0.1:0", func(s *grpc.Server) {
		hello.RegisterHelloServer(s, english{})
	}, grpcx.WithLinger(-1))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleServeListener() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, stop)
	err = grpcx.ServeListener(ctx, memory.New(), "greeter", ln, func(s *grpc.Server) {
		hello.RegisterHelloServer(s, english{})
	}, grpcx.WithLinger(-1))
	fmt.Println(err)
	// Output: <nil>
}

// A gateway for callers outside takes off the lane and the version that they name.
func ExampleEdge() {
	s := grpc.NewServer(grpcx.Interceptors(grpcx.Edge())...)
	hello.RegisterHelloServer(s, english{})
	defer s.Stop() // or s.Serve(listener)
	fmt.Println(len(s.GetServiceInfo()), "service")
	// Output: 1 service
}
