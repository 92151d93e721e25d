// Http is a provider in two versions and a consumer, over HTTP: rules that are
// published while requests run decide which version answers.
//
//	go run ./examples/http                             # an embedded Nacos
//	NACOS_ADDR=127.0.0.1:8848 go run ./examples/http   # a real one
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/examples/internal/kit"
	"github.com/graylane/graylane/httpx"
)

const service = "example-http-user"

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
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	return httpx.Serve(ctx, gl, service, ":0", hello) // in earnest: ":8081"
}

// consume sends requests; an operator changes the rules meanwhile.
func consume(ctx context.Context, nacos *kit.Nacos, out io.Writer) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos.Addr))
	if err != nil {
		return err
	}
	defer gl.Close()
	client := httpx.NewClient(gl.Resolver())
	defer client.CloseIdleConnections()
	return kit.Play(ctx, out, nacos, service, func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+service+"/hello", http.NoBody)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	})
}
