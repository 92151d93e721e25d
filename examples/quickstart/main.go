// Quickstart shows graylane's main job in half a minute: providers in two
// versions register in Nacos, an operator edits one rule document, and every
// single HTTP request and gRPC call of a running consumer follows, over
// connections that stay open.
//
//	go run ./examples/quickstart                         # an embedded Nacos, nothing but Go needed
//	go run ./examples/quickstart -nacos 127.0.0.1:8848   # the same on a real one
//	go run ./examples/quickstart -keep                   # goes on until Ctrl-C, for you to ask, and to edit the rules
//
// Everything a consumer does is logged, and judged at the end by code that knows
// the rules but not the library. One misrouted or failed request ends it with
// status 1. With -keep there is no verdict.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/graylane/graylane/nacostest"
)

func main() {
	log.SetFlags(0)
	nacos := flag.String("nacos", "", "`host:port` of a Nacos to use instead of the embedded one")
	keep := flag.Bool("keep", false, "go on until Ctrl-C")
	door := flag.String("http", "127.0.0.1:8000", "`host:port` to be asked at with -keep, if it is free")
	step := flag.Duration("step", 2*time.Second, "how long to count the requests of a step")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if !*keep {
		*door = ""
	}
	err := run(ctx, os.Stdout, *nacos, *step, *door)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		log.Fatal("quickstart: ", err)
	}
}

// run plays the story; with a door it goes on after that.
func run(ctx context.Context, out io.Writer, addr string, step time.Duration, door string) error {
	if addr == "" {
		server, err := nacostest.Start(nacostest.WithPushDelay(500 * time.Millisecond)) // as the real one
		if err != nil {
			return err
		}
		defer server.Close()
		addr = server.Addr()
		fmt.Printf("Nacos: embedded, at %s\n", addr)
	} else {
		fmt.Printf("Nacos: %s\n", addr)
	}
	s, err := open(ctx, addr, step)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.play(ctx); err != nil {
		return err
	}
	if door != "" {
		return s.goOn(ctx, out, door) // the judge does not know your rules
	}
	return s.verdict()
}
