// Grpc is a provider in two versions and a consumer, over gRPC: rules that are
// published while requests run decide which version answers.
//
//	go run ./examples/grpc                             # an embedded Nacos
//	NACOS_ADDR=127.0.0.1:8848 go run ./examples/grpc   # a real one
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/examples/internal/kit"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
)

const service = "example-grpc-user"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	nacos, err := kit.OpenNacos()
	if err != nil {
		return err
	}
	defer nacos.Close()

	var providers sync.WaitGroup
	defer providers.Wait()
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for _, version := range []string{"v1", "v2"} {
		providers.Go(func() {
			if err := provide(ctx, nacos.Addr, version); err != nil {
				log.Print(err)
			}
		})
	}
	return consume(ctx, nacos, out)
}

// provide serves one version until ctx ends.
func provide(ctx context.Context, nacos, version string) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos), graylane.WithVersion(version))
	if err != nil {
		return err
	}
	defer gl.Close()
	return grpcx.Serve(ctx, gl, service, ":0", func(s *grpc.Server) { // in earnest: ":9091"
		hello.RegisterHelloServer(s, greeter{version: version})
	})
}

type greeter struct {
	hello.UnimplementedHelloServer
	version string
}

// Say implements hello.HelloServer.
func (g greeter) Say(context.Context, *hello.HelloRequest) (*hello.HelloReply, error) {
	return &hello.HelloReply{Version: g.version}, nil
}

// consume sends requests; an operator changes the rules meanwhile.
func consume(ctx context.Context, nacos *kit.Nacos, out io.Writer) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos.Addr))
	if err != nil {
		return err
	}
	defer gl.Close()
	conn, err := grpcx.NewClient(gl.Resolver(), service, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := hello.NewHelloClient(conn)
	return kit.Play(ctx, out, nacos, service, func(ctx context.Context) (string, error) {
		reply, err := client.Say(ctx, &hello.HelloRequest{Name: "you"})
		return reply.GetVersion(), err
	})
}
