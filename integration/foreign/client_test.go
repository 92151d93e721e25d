package foreign

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// processTimeout bounds the life of a client's process.
const processTimeout = 90 * time.Second

// watch runs a client's process to its end and returns what it observed. cut is
// called where the client asks for it.
func watch(ctx context.Context, cmd *exec.Cmd, cut func() error) ([]observation, error) {
	var errText bytes.Buffer
	cmd.Stderr = &errText
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var seen []observation
	var failed error
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o observation
		if json.Unmarshal(lines.Bytes(), &o) != nil || o.Step == "" {
			continue // the client says something
		}
		seen = append(seen, o)
		if o.Step == cutHere {
			failed = errors.Join(failed, cut())
			_, err := in.Write([]byte("\n"))
			failed = errors.Join(failed, err)
		}
	}
	if err := cmd.Wait(); err != nil {
		failed = errors.Join(failed, fmt.Errorf("%w after %d steps: %s", errors.Join(err, context.Cause(ctx)), len(seen), errText.Bytes()))
	}
	return seen, failed
}
