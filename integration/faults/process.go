package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is this program, playing a role in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  chan json.RawMessage // what it prints, line by line; closed at its end
	done  chan struct{}        // closed when it has ended
	err   error                // how; written before done is closed
}

// spawn starts a process. It ends with ctx at the latest.
func spawn(ctx context.Context, r role) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), envRole+"="+string(text), "GORACE=exitcode=0")
	cmd.WaitDelay = time.Second
	cmd.Stderr = &tail{}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe() // when this process ends, so does that one
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, said: make(chan json.RawMessage, 16), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer close(p.said)
		lines := json.NewDecoder(out)
		for {
			var line json.RawMessage
			if lines.Decode(&line) != nil {
				break
			}
			p.said <- line
		}
		_, _ = io.Copy(io.Discard, out)
		if p.err = cmd.Wait(); p.err != nil {
			p.err = fmt.Errorf("%w: %s", p.err, cmd.Stderr)
		}
	}()
	return p, nil
}

// hear waits for the next thing that the process says.
func (p *process) hear(ctx context.Context, what any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case line, ok := <-p.said:
		if !ok {
			<-p.done
			return errors.Join(errors.New("faults: the process ended"), p.err)
		}
		return json.Unmarshal(line, what)
	case <-ctx.Done():
		return fmt.Errorf("%w: the process says nothing: %w: %s", errOverdue, ctx.Err(), p.cmd.Stderr)
	}
}

// tell sends the process a line.
func (p *process) tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// signal sends SIGTERM, SIGSTOP or SIGCONT.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends the process at once, and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// wait returns how the process ended.
func (p *process) wait(d time.Duration) error {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-p.done:
		return p.err
	case <-late.C:
		return fmt.Errorf("%w: the process does not end", errOverdue)
	}
}

// tail keeps the end of what a process writes to stderr. It has one writer, and
// is read when that is done or nothing else can be said.
type tail struct{ text bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	const most = 4096
	t.text.Write(p)
	if extra := t.text.Len() - most; extra > 0 {
		t.text.Next(extra)
	}
	return len(p), nil
}

func (t *tail) String() string { return t.text.String() }
