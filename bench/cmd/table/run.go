package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// wholeRequests are the benchmarks over the loopback. They are the noisiest, so that
// each repetition runs them several times, all peers each time.
const (
	wholeRequests   = "^BenchmarkRequest"
	requestSamples  = 3
	requestDuration = 2 // times the duration of the others
)

// The library with its other cursor is a second binary: the rows "ours-pinned".
const (
	pinned    = ".pinned"
	pinnedTag = "graylane_pinned"
)

// modules are those whose versions the page names.
var modules = []string{ //nolint:gochecknoglobals // a list that is never changed
	"google.golang.org/grpc", "github.com/bufbuild/httplb", "github.com/cloudwego/kitex", "github.com/go-kratos/kratos/v2",
	"github.com/polarismesh/polaris-go", "github.com/nacos-group/nacos-sdk-go/v2", "github.com/buraksezer/consistent",
}

// measure builds the test binary once, runs the tests of quality once and the
// benchmarks in repetitions. The error failed says which tests did.
func (o *options) measure(ctx context.Context) (p *page, failed, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is temporary anyway
	binary := filepath.Join(dir, "bench.test")
	if err := errors.Join(build(ctx, binary, ""), build(ctx, binary+pinned, pinnedTag)); err != nil {
		return nil, nil, err
	}
	p = &page{results: newResults(), options: o, date: time.Now().UTC(), goVersion: runtime.Version()}
	if p.versions, err = versions(ctx); err != nil {
		return nil, nil, err
	}
	p.revision, p.load = revision(ctx), load()

	progress("quality")
	failed = p.results.run(ctx, os.Environ(), binary, "-test.v", "-test.run=.", "-test.bench=^$", short(o.short))
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	for i := range o.count {
		progress("repetition %d of %d", i+1, o.count)
		if err := o.repetition(ctx, p.results, binary, i); err != nil {
			return nil, nil, err
		}
	}
	return p, failed, nil
}

// repetition runs every benchmark of every peer once, every second time in the
// reverse order.
func (o *options) repetition(ctx context.Context, r *results, binary string, i int) error {
	run := func(turn int, of time.Duration, more ...string) error {
		args := []string{"-test.run=^$", "-test.benchtime=" + of.String(), short(o.short), "-test.timeout=1h"}
		return r.run(ctx, reversed(turn), binary, append(args, more...)...)
	}
	if o.only != "." {
		return run(i, o.benchtime, "-test.bench="+o.only)
	}
	if err := run(i, o.benchtime, "-test.bench=.", "-test.skip="+wholeRequests); err != nil {
		return err
	}
	if err := r.run(ctx, os.Environ(), binary+pinned, "-test.run=^$", "-test.benchtime="+o.benchtime.String(), short(o.short), "-test.bench=/^ours-pinned"); err != nil {
		return err
	}
	samples := requestSamples
	if o.short {
		samples = 1
	}
	for k := range samples {
		if err := run(i*samples+k, requestDuration*o.benchtime, "-test.bench="+wholeRequests); err != nil {
			return err
		}
	}
	return nil
}

// reversed is the environment of a run.
func reversed(turn int) []string {
	if turn%2 == 0 {
		return os.Environ()
	}
	return append(os.Environ(), "BENCH_REVERSE=1")
}

func short(on bool) string { return "-test.short=" + strconv.FormatBool(on) }

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "table: "+format+"\n", args...) }

// build compiles the tests of the module in the current directory.
func build(ctx context.Context, binary, tags string) error {
	progress("build")
	return execute(exec.CommandContext(ctx, "go", "test", "-c", "-tags", tags, "-o", binary, "."), io.Discard) //nolint:gosec // our own flags
}

// run runs the test binary and reads what it prints.
func (r *results) run(ctx context.Context, env []string, binary string, args ...string) error {
	var out bytes.Buffer
	c := exec.CommandContext(ctx, binary, args...) //nolint:gosec // built above
	c.Env = env
	err := execute(c, &out)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, failures(out.String()))
	}
	return errors.Join(r.read(out.String()), err)
}

// failures are the lines of a failed run that say what is wrong.
func failures(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "===") && !strings.HasPrefix(text, "--- PASS") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func execute(c *exec.Cmd, out io.Writer) error {
	c.Stdout = out
	var problems bytes.Buffer
	c.Stderr = &problems
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(c.Path), err, problems.String())
	}
	return nil
}

// versions returns "module version" of each peer.
func versions(ctx context.Context) ([]string, error) {
	var out bytes.Buffer
	list := append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}}"}, modules...)
	if err := execute(exec.CommandContext(ctx, "go", list...), &out); err != nil { //nolint:gosec // a list of ours
		return nil, err
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n"), nil
}

// load is how busy the machine was before, "" if it does not say.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// revision is the commit that was measured, as far as git knows one.
func revision(ctx context.Context) string {
	var out bytes.Buffer
	if err := execute(exec.CommandContext(ctx, "git", "describe", "--always", "--dirty"), &out); err != nil {
		return "unknown"
	}
	return strings.TrimSpace(out.String())
}
