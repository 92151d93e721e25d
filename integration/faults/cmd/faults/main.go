// Command faults runs the fault suite around a real Nacos of three nodes, and
// writes its tables as Markdown.
//
//	go run ./faults/cmd/faults -full -count 3 -o table.md
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/graylane/graylane/integration/faults"
	"github.com/graylane/graylane/integration/nacos"
)

func main() {
	played, err := faults.Play()
	if !played {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // all that needed an end has had it
	}
}

// flags of the command line.
type flags struct {
	full    bool
	count   int
	out     string
	only    string
	clients string
	seed    uint64
	rate    int
}

func parse() flags {
	var f flags
	flag.BoolVar(&f.full, "full", false, "the size that is published, in place of a short one")
	flag.IntVar(&f.count, "count", 1, "runs of each fault")
	flag.StringVar(&f.out, "o", "", "file for the tables (default standard output)")
	flag.StringVar(&f.only, "only", "", "faults to run, by ID, with commas between them (default all)")
	flag.StringVar(&f.clients, "clients", "all", "all, or ours")
	flag.Uint64Var(&f.seed, "seed", rand.Uint64()>>33, "of the requests")
	flag.IntVar(&f.rate, "rate", 0, "requests a second of each client (default that of the size)")
	flag.Parse()
	return f
}

func run(ctx context.Context) error {
	f := parse()
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	logf := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
	}
	s := &faults.Suite{Size: faults.Short(), Clients: faults.Ours(), Seed: f.seed, Dir: dir, Logf: logf}
	if f.full {
		s.Size = faults.Full()
	}
	if f.rate > 0 {
		s.Rate = f.rate
	}
	if f.clients == "all" {
		s.Clients = append(s.Clients, faults.Rivals()...)
	}
	logf("seed %d; starting three nodes of Nacos", f.seed)
	if s.Nacos, err = nacos.StartCluster(ctx, nacos.Options{Logf: logf}); err != nil {
		return err
	}
	defer func() { _ = s.Nacos.Close() }()
	return all(ctx, s, f)
}

// all runs the faults, and writes a table after each: what is done is not lost, and a run
// that could not be made is an error at the end.
func all(ctx context.Context, s *faults.Suite, f flags) error {
	var failed []error
	text := &bytes.Buffer{}
	head(ctx, text, s, f)
	for _, fault := range faults.Faults() {
		if f.only != "" && !slices.Contains(strings.Split(f.only, ","), fault.ID) {
			continue
		}
		var results []*faults.Result
		for range f.count {
			result, err := s.Run(ctx, fault)
			if ctx.Err() != nil {
				return err
			}
			if err != nil { // the others can still run
				s.Logf("%s: %v", fault.ID, err)
				failed = append(failed, fmt.Errorf("%s: %w", fault.ID, err))
				continue
			}
			for _, figure := range result.Figures() {
				s.Logf("FIGURE %s", figure)
			}
			for i := range result.Rows {
				if errs := result.Rows[i].Errors; len(errs) > 0 {
					s.Logf("%s: %s: %q", fault.ID, result.Rows[i].Client, errs)
				}
			}
			s.Logf("%s: took %s %q", fault.ID, result.Took.Round(time.Second), result.Notes)
			results = append(results, result)
		}
		if len(results) > 0 {
			faults.Table(text, results, faults.Goals(s.Size)[fault.ID])
		}
		if f.out == "" {
			continue
		}
		if err := os.WriteFile(f.out, text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	if f.out == "" {
		_, err := text.WriteTo(os.Stdout)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// head says where, when and of what the figures are.
func head(ctx context.Context, w *bytes.Buffer, s *faults.Suite, f flags) {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	size := "short"
	if f.full {
		size = "full"
	}
	fmt.Fprintf(w, "Commit %s, %s, %s %s/%s, %d cores (%s); size %s, %d requests a second of each client, seed %d.\n\n",
		bytes.TrimSpace(commit), time.Now().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), cpu(), size, s.Rate, f.seed)
	fmt.Fprint(w, "All clients run side by side, each in a process of its own, at the same rate and with the same deadline. ",
		"The rivals know no versions: where three instances are v1 and two are v2, what they answer is often of the wrong one.\n\n")
}

// cpu names the processor.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for l := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(l, "model name"); ok {
				return strings.TrimLeft(strings.TrimSpace(name), ": \t")
			}
		}
	}
	return "unknown"
}
