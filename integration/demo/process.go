package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// process is a service of the compose file, running.
type process struct {
	cmd    *exec.Cmd
	health []string      // arguments of the health check; none: it is not asked
	every  time.Duration // and how often, from one interval after the start on
	done   chan struct{}
	err    error // read after done
}

// launch starts the command as a service. Each line it prints goes to say.
func launch(cmd *exec.Cmd, name string, s types.ServiceConfig, say func(service, line string)) (*process, error) {
	out, in := io.Pipe()
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: the order of the end is ours
	if h := s.HealthCheck; h != nil && !h.Disable && len(h.Test) > 2 && h.Test[0] == "CMD" {
		p.health, p.every = h.Test[2:], 30*time.Second // as docker has it
		if h.Interval != nil {
			p.every = time.Duration(*h.Interval)
		}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("demo: %s: %w", name, err)
	}
	var read sync.WaitGroup
	read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			say(name, lines.Text())
		}
		_, _ = io.Copy(io.Discard, out) // behind a line that is too long
	})
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		_ = in.Close()
		read.Wait()
	}()
	return p, nil
}

// healthy waits until the service's own health check passes.
func (p *process) healthy(ctx context.Context) error {
	if p.health == nil {
		return nil
	}
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	var said []byte
	for {
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("has ended: %w", errors.Join(p.err, errEnded))
		case <-ctx.Done():
			return fmt.Errorf("is not healthy: %s: %w", said, ctx.Err())
		}
		check := exec.CommandContext(ctx, p.cmd.Path, p.health...) //nolint:gosec // our own program
		check.Env = p.cmd.Env
		var err error
		if said, err = check.CombinedOutput(); err == nil {
			return nil
		}
	}
}

var errEnded = errors.New("a server of the demo ends only with the demo")

// stop ends the process as docker stop does.
func (p *process) stop(grace time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
		return p.err
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("did not end within %s: %w", grace, p.err)
	}
}
