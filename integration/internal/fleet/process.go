package fleet

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is a running provider.
type Process struct {
	// Addrs are where it serves, by protocol.
	Addrs map[string]string

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; written before done is closed
}

// Start starts a provider, and returns when it has said where it serves. It ends
// with the test at the latest.
func Start(t *testing.T, p Provider) *Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(p)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self) //nolint:gosec // this test
	cmd.Env = append(os.Environ(), envProvider+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = cmd.StdinPipe() // when this process ends, so does that one
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	proc := &Process{cmd: cmd, done: make(chan struct{})}
	said := json.NewDecoder(out).Decode(&proc.Addrs)
	go func() {
		defer close(proc.done)
		_, _ = io.Copy(io.Discard, out)
		proc.err = cmd.Wait()
	}()
	t.Cleanup(func() { _ = proc.Kill() })
	require.NoError(t, said)
	return proc
}

// Terminate asks the process to end, as an orchestrator does. Wait says how it
// went.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Kill ends the process at once, and returns when it is gone.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	return err
}

// Wait returns how the process ended, or an error if it does not within d.
func (p *Process) Wait(d time.Duration) error {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-p.done:
		return p.err
	case <-late.C:
		return errors.New("fleet: the process does not end")
	}
}
