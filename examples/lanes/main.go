// Lanes is a feature branch in a shared environment: order → user → stock, over
// HTTP, gRPC and HTTP. Order and stock also run as a branch in the lane "canary";
// user, in the middle, does not, and carries the lane on without knowing of it.
//
//	go run ./examples/lanes                             # an embedded Nacos
//	NACOS_ADDR=127.0.0.1:8848 go run ./examples/lanes   # a real one
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/examples/internal/kit"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
)

const canary = "canary"

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
	for _, p := range []struct {
		serve      func(context.Context, *graylane.Client, string) error
		name, lane string
	}{
		{order, "order", ""},
		{order, "order", canary},
		{user, "user", ""},
		{stock, "stock", ""},
		{stock, "stock", canary},
	} {
		providers.Go(func() {
			if err := provide(ctx, nacos.Addr, p.lane, func(gl *graylane.Client) error {
				return p.serve(ctx, gl, p.name+"@"+cmp.Or(p.lane, "main"))
			}); err != nil {
				log.Print(err)
			}
		})
	}
	return visit(ctx, nacos.Addr, out)
}

// provide runs a server whose instance is in a lane, "" for none.
func provide(ctx context.Context, nacos, inLane string, serve func(*graylane.Client) error) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos), graylane.WithLabels(map[string]string{"lane": inLane}))
	if err != nil {
		return err
	}
	defer gl.Close()
	return serve(gl)
}

// visit sends requests with and without a lane.
func visit(ctx context.Context, nacos string, out io.Writer) error {
	gl, err := graylane.Open(ctx, graylane.WithServers(nacos))
	if err != nil {
		return err
	}
	defer gl.Close()
	client := httpx.NewClient(gl.Resolver())
	defer client.CloseIdleConnections()
	ask := func(ctx context.Context) (string, error) { return get(ctx, client, "http://example-lanes-order/") }

	branch := lane.With(ctx, canary)
	if err := kit.Until(ctx, 1, "order@main > user@main > stock@main", ask); err != nil {
		return err
	}
	if err := kit.Until(branch, 1, "order@canary > user@main > stock@canary", ask); err != nil {
		return err
	}
	for _, v := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // whom the request is from
	}{{"no lane", ctx}, {"lane canary", branch}} {
		who, err := kit.Tally(v.ctx, 1000, ask)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-12s %s\n", v.name, who)
	}
	return nil
}
