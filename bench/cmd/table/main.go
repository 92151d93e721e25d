// Command table runs graylane's benchmarks beside its peers', all in one run, and
// writes a page of markdown: medians with their spread, ratios, and what the goals
// were.
//
//	go run ./cmd/table                     five repetitions, about ten minutes
//	go run ./cmd/table -short              one repetition, less than a minute
//	go run ./cmd/table -o ../docs/performance.md
//
// It never fails on a time. It fails where a test does: those of the quality of picks
// and of allocations, whose results do not depend on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	short     bool
	count     int
	benchtime time.Duration
	only      string
	out       string
}

func main() {
	var o options
	flag.BoolVar(&o.short, "short", false, "one quick repetition of few sizes, to see that it runs")
	flag.IntVar(&o.count, "count", 5, "repetitions; each runs every peer once")
	flag.DurationVar(&o.benchtime, "benchtime", 300*time.Millisecond, "how long each benchmark runs in a repetition")
	flag.StringVar(&o.only, "bench", ".", "the benchmarks to run, as go test takes them")
	flag.StringVar(&o.out, "o", "", "the file to write; default: standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

// run measures, and writes the page. A failed test is an error after that.
func (o *options) run(ctx context.Context) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("there are no arguments, but %q", flag.Args())
	}
	if o.short {
		o.count, o.benchtime = 1, 10*time.Millisecond
	}
	if o.count < 1 {
		return errors.New("-count is at least 1")
	}
	p, failed, err := o.measure(ctx)
	if err != nil {
		return err
	}
	if text := p.markdown(); o.out == "" {
		fmt.Print(text)
	} else if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil { //nolint:gosec // a page for everybody
		return err
	}
	return failed
}

// command is how this page is made again.
func (o *options) command() string {
	words := []string{"go", "run", "./cmd/table"}
	if o.short {
		words = append(words, "-short")
	} else {
		words = append(words, fmt.Sprintf("-count %d -benchtime %s", o.count, o.benchtime))
	}
	if o.only != "." {
		words = append(words, fmt.Sprintf("-bench '%s'", o.only))
	}
	return strings.Join(words, " ")
}
