package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/resolver"
)

// The test binary plays further processes of a script: its environment says
// which, and with what.
const (
	envRole = "E2E_ROLE"
	envTask = "E2E_TASK" // JSON
)

// task is what a further process is told. Not every role needs all of it.
type task struct {
	Nacos     string
	Service   string
	Revision  string // of the document to wait for
	Instances int    // to wait for
	Users     int    // how many to find the owners of
	Dir       string // for what the SDK writes
}

// play makes this process one of the others.
func play(role string) error {
	var t task
	if err := json.Unmarshal([]byte(os.Getenv(envTask)), &t); err != nil {
		return fmt.Errorf("e2e: %s: %w", envTask, err)
	}
	switch role {
	case "sdk":
		return playSDK(t)
	case "owners":
		return playOwners(t)
	}
	return fmt.Errorf("e2e: no role %q", role)
}

// another returns the command for a further process, which ends with the test at
// the latest.
func another(t *testing.T, role string, of task) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(of)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envRole+"="+role, envTask+"="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// awaitState waits until a view's state is as wanted.
func awaitState(ctx context.Context, v *resolver.View, wanted func(*resolver.State) bool) error {
	reached := errors.New("reached")
	watch, done := context.WithCancelCause(ctx)
	defer done(nil)
	err := v.Watch(watch, func(st *resolver.State) {
		if wanted(st) {
			done(reached)
		}
	})
	if errors.Is(err, reached) {
		return nil
	}
	return err
}
