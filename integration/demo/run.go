package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/graph"
	"github.com/compose-spec/compose-go/v2/types"
)

// startTimeout bounds the start of all processes, the build not counted.
const startTimeout = time.Minute

// Options say how to run a project.
type Options struct {
	// Nacos is the "host:port" that takes the place of the file's Nacos servers.
	Nacos string
	// FreePorts takes free ports in place of the published ones, for tests.
	FreePorts bool
	// Say is told each line that a process prints, one at a time.
	Say func(service, line string)
}

// Demo is a running project. Its methods may be called concurrently.
type Demo struct {
	project   *types.Project
	addrs     map[string]string // "service:port" inside the network → the address here
	hosts     *strings.Replacer
	freePorts bool
	say       func(service, line string)
	dir       string // of the program, and of Prometheus

	mu        sync.Mutex // guards processes, and say
	processes map[string]*process
	closing   sync.Once
	closed    error
}

// Start builds the demo's program and starts every service that it is built for, in
// the order of the file: one that others depend on is healthy before they start. The
// end of ctx ends the start, not what runs: Close does.
func Start(ctx context.Context, p *types.Project, o Options) (*Demo, error) {
	d := &Demo{project: p, processes: map[string]*process{}, freePorts: o.FreePorts}
	d.say = func(service, line string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		o.Say(service, line)
	}
	if err := d.place(ctx, o); err != nil {
		return nil, err
	}
	var err error
	if d.dir, err = os.MkdirTemp("", "demo-"); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if err := build(ctx, p, d.program()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := graph.InDependencyOrder(ctx, p, d.start); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Addr returns where a service's port is here, "" if it has no such port.
func (d *Demo) Addr(service string, port int) string {
	return d.addrs[fmt.Sprintf("%s:%d", service, port)]
}

// Close ends the processes as docker compose down does, dependents first, and
// reports those that failed. It is idempotent.
func (d *Demo) Close() error {
	d.closing.Do(func() {
		var mu sync.Mutex
		var errs []error
		// The walk stops at an error, and nothing may be left running.
		errs = append(errs, graph.InDependencyOrder(context.Background(), d.project, func(_ context.Context, name string, s types.ServiceConfig) error {
			d.mu.Lock()
			p := d.processes[name]
			d.mu.Unlock()
			if p == nil {
				return nil
			}
			grace := 10 * time.Second // as docker has it
			if s.StopGracePeriod != nil {
				grace = time.Duration(*s.StopGracePeriod)
			}
			if err := p.stop(grace); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("demo: %s: %w", name, err))
			}
			return nil
		}, graph.InReverseOrder))
		d.closed = errors.Join(append(errs, os.RemoveAll(d.dir))...)
	})
	return d.closed
}

func (d *Demo) program() string { return filepath.Join(d.dir, "app") }

// start starts one service and waits until it is healthy.
func (d *Demo) start(ctx context.Context, name string, s types.ServiceConfig) error {
	if s.Build == nil { // somebody else's image
		return nil
	}
	cmd := exec.Command(d.program()) //nolint:gosec,noctx // our own program; Close ends it in good order
	cmd.Env = d.environment(name, s)
	p, err := launch(cmd, name, s, d.say)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.processes[name] = p
	d.mu.Unlock()
	if err := p.healthy(ctx); err != nil {
		return fmt.Errorf("demo: %s %w", name, err)
	}
	return nil
}

// listens finds the port, with its colon, that a service listens at.
var listens = regexp.MustCompile(`^:\d+$`)

// place chooses an address for each port of each service.
func (d *Demo) place(ctx context.Context, o Options) error {
	d.addrs = map[string]string{}
	var free freePorts
	defer free.release()
	for name, s := range d.project.Services {
		if isNacos(s) {
			for _, p := range s.Ports {
				d.addrs[fmt.Sprintf("%s:%d", name, p.Target)] = o.Nacos
			}
			continue
		}
		if s.Build == nil { // Watch chooses one, if it is to run
			continue
		}
		for _, value := range s.Environment {
			port := listens.FindString(*value)
			if port == "" {
				continue
			}
			addr := Published(s, port[1:])
			if addr == "" || o.FreePorts {
				var err error
				if addr, err = free.take(ctx); err != nil {
					return err
				}
			}
			d.addrs[name+port] = addr
		}
	}
	var pairs []string
	for _, from := range slices.Sorted(maps.Keys(d.addrs)) {
		pairs = append(pairs, from, d.addrs[from])
	}
	d.hosts = strings.NewReplacer(pairs...)
	return nil
}

// environment is the file's, with the addresses of this machine.
func (d *Demo) environment(name string, s types.ServiceConfig) []string {
	var env []string
	for key, value := range s.Environment {
		v := *value
		if listens.MatchString(v) {
			v = d.addrs[name+v]
		}
		env = append(env, key+"="+d.hosts.Replace(v))
	}
	return env
}

// goBuild finds the command in the Dockerfile that makes the program.
var goBuild = regexp.MustCompile(`CGO_ENABLED=0 go build [^\n]*`)

// build runs the Dockerfile's own command. All services have the same build.
func build(ctx context.Context, p *types.Project, to string) error {
	for name, s := range p.Services {
		if s.Build == nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.Build.Context, s.Build.Dockerfile))
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		line := goBuild.Find(text)
		if line == nil {
			return fmt.Errorf("demo: %s: the Dockerfile has no line %q", name, goBuild)
		}
		sh := exec.CommandContext(ctx, "sh", "-ec", strings.ReplaceAll(string(line), "/out/app", to)) //nolint:gosec // the Dockerfile's
		sh.Dir, sh.Env = s.Build.Context, os.Environ()
		for arg, value := range s.Build.Args {
			sh.Env = append(sh.Env, arg+"="+*value)
		}
		if out, err := sh.CombinedOutput(); err != nil {
			return fmt.Errorf("demo: %s: %w\n%s", line, err, out)
		}
		return nil
	}
	return errors.New("demo: no service is built")
}
