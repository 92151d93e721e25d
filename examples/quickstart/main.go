// Quickstart shows graylane's main job in half a minute: providers in two
// versions register in Nacos, an operator edits one rule document, and every
// single HTTP request and gRPC call of a running consumer follows, over
// connections that stay open.
//
//	go run ./examples/quickstart                         # an embedded Nacos, nothing but Go needed
//	go run ./examples/quickstart -nacos 127.0.0.1:8848   # the same on a real one
//	go run ./examples/quickstart -keep                   # goes on until Ctrl-C, for you to edit the rules
//
// Everything a consumer does is logged, and judged at the end by code that knows
// the rules but not the library. One misrouted or failed request ends it with
// status 1. With -keep there is no verdict.
package main

import (
	"context"
	"flag"
	"fmt"
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
	step := flag.Duration("step", 2*time.Second, "how long to count the requests of a step")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *nacos, *step, *keep)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		log.Fatal("quickstart: ", err)
	}
}

func run(ctx context.Context, addr string, step time.Duration, keep bool) error {
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
	if keep {
		fmt.Printf("\nGoing on until Ctrl-C. Edit the rules yourself, for instance:\n\n%s\n", s.operator.curl(fiftyPercent))
		return s.keep(ctx) // the judge does not know your rules
	}
	return s.verdict()
}
