package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/resolver"
)

func TestKilledProviderIsLeft(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		victim := s.process("v1")
		s.process("v1")
		s.process("v2")
		c := s.consume()
		c.sees(3)
		c.follows(s.publish(byHeader))
		stop := c.underLoad()
		defer stop()
		c.passes(100)

		killed := s.recorder.Now()
		require.NoError(t, victim.cmd.Process.Kill())
		s.left(victim, killed)
		left := map[string]int64{}
		for _, protocol := range protocols() {
			c.awaitOn(protocol, "the instance to vanish", func(st *resolver.State) bool { return st.Snapshot.Len() == 2 })
			left[protocol] = s.recorder.Now()
		}
		c.passes(100)
		stop()

		report := s.verdict()
		for _, protocol := range protocols() {
			failed := 0
			for _, a := range s.attempts(protocol, 0) {
				if a.Last && a.Error != "" {
					failed++
					assert.Less(t, a.Begin, left[protocol], "%s failed after the list had changed: %s", a.ID, a.Error)
				}
			}
			figure(t, "kill -9 of one of two v1 at 200 requests/s: %s: %d requests failed; the list changed after %s",
				protocol, failed, since(killed, left[protocol]))
		}
		figure(t, "%d requests, %d failed, %d misrouted", report.Requests, report.Failed, report.Misrouted)
	})
}

func TestTerminatedProvidersFailNoRequest(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const rounds = 3
		old := s.process("v1")
		s.process("v2")
		c := s.consume()
		c.sees(2)
		c.follows(s.publish(byHeader))
		stop := c.underLoad()
		defer stop()

		for range rounds {
			next := s.process("v1")
			c.sees(3)
			c.passes(50)
			start := s.recorder.Now()
			require.NoError(t, old.cmd.Process.Signal(syscall.SIGTERM))
			s.left(old, start)
			require.NoError(t, old.wait(), "a clean end")
			figure(t, "SIGTERM at 200 requests/s: the process ended after %s", since(start, s.recorder.Now()))
			c.await("the instance to vanish", func(st *resolver.State) bool { return st.Snapshot.Len() == 2 })
			old = next
		}
		c.passes(50)
		stop()
		report := s.flawless()
		figure(t, "%d rounds of SIGTERM: %d requests, %d failed, %d misrouted", rounds, report.Requests, report.Failed, report.Misrouted)
	})
}

// underLoad makes 200 requests a second, every other one of which asks for v2.
func (c *consumer) underLoad() (stop func()) {
	return c.steadily(20*time.Millisecond, 2, func(i int) ask { return ask{version: []string{"", "v2"}[i/2%2]} })
}

// passes waits until so many more requests have begun.
func (c *consumer) passes(n int64) {
	c.stage.t.Helper()
	until := c.stage.ids.Load() + n
	require.Eventually(c.stage.t, func() bool { return c.stage.ids.Load() >= until }, patience, 10*time.Millisecond)
}

// process is a provider in a process of its own.
type process struct {
	cmd   *exec.Cmd
	addrs map[string]string // by protocol
	done  chan struct{}     // closed when it has ended
	err   error
}

// process starts a provider, and returns when it has said where it serves.
func (s *stage) process(version string) *process {
	s.t.Helper()
	p := &process{done: make(chan struct{})}
	p.cmd = another(s.t, "provider", task{Nacos: s.nacos.addr, Service: s.service, Version: version})
	out, err := p.cmd.StdoutPipe()
	require.NoError(s.t, err)
	_, err = p.cmd.StdinPipe() // when this process ends, so does that one
	require.NoError(s.t, err)
	from := s.recorder.Now()
	require.NoError(s.t, p.cmd.Start())
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	said := json.NewDecoder(out).Decode(&p.addrs)
	go func() {
		defer close(p.done)
		_, _ = io.Copy(io.Discard, out)
		p.err = p.cmd.Wait()
	}()
	require.NoError(s.t, said)
	for protocol, addr := range p.addrs {
		s.started(protocol, judge.Instance{Service: s.service, Addr: addr, Version: version, From: from})
	}
	return p
}

// left notes that a process is no longer to be asked.
func (s *stage) left(p *process, at int64) {
	for _, addr := range p.addrs {
		s.ended(addr, at)
	}
}

// wait returns how the process ended.
func (p *process) wait() error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		return errors.New("the process does not end")
	}
}

// playProvider is a provider as users write one, but for the ports, which it
// prints.
func playProvider(t task) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3) // the test is gone
	}()
	gl, err := graylane.Open(ctx, graylane.WithServers(t.Nacos), graylane.WithIP("127.0.0.1"), graylane.WithVersion(t.Version))
	if err != nil {
		return err
	}
	addrs := map[string]string{}
	served := make(chan error, 2)
	for _, protocol := range protocols() {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addrs[protocol] = ln.Addr().String()
		go func() {
			if protocol == "grpc" {
				served <- grpcx.ServeListener(ctx, gl, t.Service, ln, func(s *grpc.Server) {
					hello.RegisterHelloServer(s, &greeter{version: t.Version, served: new(atomic.Int64)})
				})
				return
			}
			served <- httpx.ServeListener(ctx, gl, t.Service, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "hello")
			}))
		}()
	}
	if err := json.NewEncoder(os.Stdout).Encode(addrs); err != nil {
		return err
	}
	return errors.Join(<-served, <-served, gl.Close())
}
