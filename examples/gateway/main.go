// Gateway is one way in for two services: the first segment of the path names the
// service, the rules decide about the instance. As an edge it takes off what only
// insiders may say, but lets callers ask for a version.
//
//	go run ./examples/gateway                             # an embedded Nacos
//	NACOS_ADDR=127.0.0.1:8848 go run ./examples/gateway   # a real one
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/examples/internal/kit"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

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
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0") // in earnest: httpx.Serve at ":8080"
	if err != nil {
		return err
	}

	var servers sync.WaitGroup
	defer servers.Wait()
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	start := func(serve func() error) {
		servers.Go(func() {
			if err := serve(); err != nil {
				log.Print(err)
			}
		})
	}
	for _, p := range []struct{ service, version, lane string }{
		{"user", "v1", ""}, {"user", "v2", ""}, {"user", "v3", "canary"}, {"order", "v1", ""},
	} {
		start(func() error { return provide(ctx, nacos.Addr, p.service, p.version, p.lane) })
	}
	start(func() error { return gateway(ctx, nacos.Addr, ln) })
	return visit(ctx, "http://"+ln.Addr().String(), out)
}

// gateway forwards until ctx ends.
func gateway(ctx context.Context, nacos string, ln net.Listener) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos), graylane.WithDefaultVersion("v1"))
	if err != nil {
		return err
	}
	defer gl.Close()
	transport := httpx.NewTransport(gl.Resolver())
	defer transport.Close()
	edge := httpx.Edge(lane.HeaderVersion) // takes off the rest
	services := httpx.ByPath(map[string]string{"/user": "example-gateway-user", "/order": "example-gateway-order"})
	return httpx.ServeListener(ctx, gl, "example-gateway", ln, httpx.NewGateway(transport, services, edge), edge)
}

// provide serves a version of a service until ctx ends.
func provide(ctx context.Context, nacos, service, version, inLane string) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos), graylane.WithVersion(version),
		graylane.WithLabels(map[string]string{"lane": inLane}))
	if err != nil {
		return err
	}
	defer gl.Close()
	return httpx.Serve(ctx, gl, "example-gateway-"+service, ":0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintln(w, service, version, "has", r.URL.Path) //nolint:gosec // plain text
	}))
}
