// Command nacos runs a real Nacos on loopback until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/graylane/graylane/integration/nacos"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	o := nacos.Options{Logf: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	flag.IntVar(&o.Port, "port", 8848, "HTTP `port`; gRPC is 1000 higher, the next node 10 higher; 0: random")
	flag.IntVar(&o.ConsolePort, "console", 8080, "`port` of the console; 0: HTTP port + 1")
	flag.StringVar(&o.Cache, "cache", "", "`folder` that keeps the jars (default .cache/nacos of the repository)")
	nodes := flag.Int("nodes", 1, "1, or 3 for a cluster")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch *nodes {
	case 1:
		return runNode(ctx, o)
	case 3:
		return runCluster(ctx, o)
	}
	return fmt.Errorf("nacos: -nodes %d: want 1 or 3", *nodes)
}

func runNode(ctx context.Context, o nacos.Options) (err error) {
	n, err := nacos.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	fmt.Printf("Nacos %s is up: NACOS_ADDR=%s, console http://%s/, Ctrl-C ends it\n", nacos.Version, n.Addr(), n.Console())
	select {
	case <-ctx.Done():
		return nil
	case <-n.Done():
		return fmt.Errorf("nacos: the server has ended; its last lines:\n%s", n.LogTail())
	}
}

func runCluster(ctx context.Context, o nacos.Options) (err error) {
	c, err := nacos.StartCluster(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	fmt.Printf("Nacos %s is up: NACOS_ADDR=%s, Ctrl-C ends it\n", nacos.Version, strings.Join(c.Addrs(), ","))
	for _, n := range c.Nodes {
		fmt.Printf("  node %s, console http://%s/\n", n.Addr(), n.Console())
	}
	<-ctx.Done() // a node may be killed by whoever plays with it
	return nil
}
