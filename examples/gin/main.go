// Gin is a service in gin that calls another one: the engine is served as any
// http.Handler, and what a request carries (its lane, the version it asks for)
// goes on with the request's context.
//
//	cd examples/gin && go run .                             # an embedded Nacos
//	cd examples/gin && NACOS_ADDR=127.0.0.1:8848 go run .   # a real one
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/examples/internal/kit"
	"github.com/graylane/graylane/httpx"
)

const front, back = "example-gin-front", "example-gin-back"

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
	for _, p := range []struct{ service, version string }{{front, "v1"}, {back, "v1"}, {back, "v2"}} {
		providers.Go(func() {
			if err := provide(ctx, nacos.Addr, p.service, p.version); err != nil {
				log.Print(err)
			}
		})
	}
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos.Addr))
	if err != nil {
		return err
	}
	defer gl.Close()
	client := httpx.NewClient(gl.Resolver())
	defer client.CloseIdleConnections()
	return kit.Play(ctx, out, nacos, back, func(ctx context.Context) (string, error) { return get(ctx, client, front) })
}

// provide serves a gin engine until ctx ends.
func provide(ctx context.Context, nacos, service, version string) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos), graylane.WithVersion(version))
	if err != nil {
		return err
	}
	defer gl.Close()
	client := httpx.NewClient(gl.Resolver())
	defer client.CloseIdleConnections()

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/hello", func(c *gin.Context) {
		if service == back {
			c.String(http.StatusOK, version)
			return
		}
		answer, err := get(c.Request.Context(), client, back) // not gin's context: the request's
		if err != nil {
			_ = c.AbortWithError(http.StatusBadGateway, err)
			return
		}
		c.String(http.StatusOK, answer)
	})
	return httpx.Serve(ctx, gl, service, ":0", engine) // or httpx.Handler(engine) in a server of your own
}

func get(ctx context.Context, client *http.Client, service string) (string, error) {
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
}
