// Demo runs the processes of docker-compose.yml without Docker until Ctrl-C:
//
//	go run ./cmd/demo                           # starts a real Nacos, on the ports of the file
//	NACOS_ADDR=127.0.0.1:8848 go run ./cmd/demo # uses one that is there
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/graylane/graylane/integration/demo"
	"github.com/graylane/graylane/integration/nacos"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal("demo: ", err)
	}
}

func run(ctx context.Context) (err error) {
	root, err := demo.Root()
	if err != nil {
		return err
	}
	project, err := demo.Load(ctx, root, demo.File)
	if err != nil {
		return err
	}
	addr := os.Getenv("NACOS_ADDR")
	if addr == "" {
		fmt.Println("Starting Nacos", nacos.Version, "…")
		node, err := startNacos(ctx, project.Services["nacos"])
		if err != nil {
			return fmt.Errorf("%w (to use a Nacos that runs: NACOS_ADDR=host:port make demo)", err)
		}
		defer func() { err = errors.Join(err, node.Close()) }()
		addr = node.Addr()
		fmt.Printf("Nacos:    %s, console http://%s/\n", addr, node.Console())
	}
	fmt.Println("Building and starting the shop …")
	d, err := demo.Start(ctx, project, demo.Options{
		Nacos: addr,
		Say:   func(service, line string) { fmt.Printf("%-9s %s\n", service, line) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	eyes, err := watch(ctx, d)
	if err != nil {
		return err
	}
	fmt.Printf(help, addr, d.Addr("gateway", 8080), d.Addr("gateway", 6060), eyes)
	<-ctx.Done()
	fmt.Println("Ending: every server withdraws, serves on, drains and closes …")
	return nil
}

const help = `Everything is up. Send 20 %% of the orders to v2, and watch the lines of "load":

  curl -X POST http://%s/nacos/v3/admin/cs/config -d dataId=gray.order.yaml -d groupName=GRAY -d type=yaml \
    --data-urlencode 'content={gray: v1, default: v1, rules: [{name: asked-for, by: header.x-gray-version}, {name: twenty, to: {v2: 20%%}}]}'

Ask yourself, for a version or in a lane; Ctrl-C ends it:

  curl -H 'x-gray-version: v2' http://%[2]s/order
  curl -H 'x-gray-lane: canary' http://%[2]s/order

What the gateway knows and decides:  http://%[3]s/debug/graylane/
What happens, and what is wrong:     %[4]s

`

// watch starts Prometheus, and says where it is or how to get it.
func watch(ctx context.Context, d *demo.Demo) (string, error) {
	addr, err := d.Watch(ctx, func(file string) string { return file })
	if errors.Is(err, demo.ErrNoPrometheus) {
		return "left out, " + err.Error(), nil
	}
	return "http://" + addr + "/alerts", err
}

// startNacos starts a node on the ports that the file publishes.
func startNacos(ctx context.Context, s types.ServiceConfig) (*nacos.Node, error) {
	o := nacos.Options{Logf: log.Printf}
	for port, to := range map[string]*int{"8848": &o.Port, "8080": &o.ConsolePort} {
		_, published, err := net.SplitHostPort(demo.Published(s, port))
		if err != nil {
			return nil, err
		}
		if *to, err = strconv.Atoi(published); err != nil {
			return nil, err
		}
	}
	return nacos.Start(ctx, o)
}
