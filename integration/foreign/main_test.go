package foreign

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client" //nolint:depguard // the SDK itself is what is tested with
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client" //nolint:depguard // as above
)

type (
	namingClient = naming_client.INamingClient
	configClient = config_client.IConfigClient
)

// envTask has the task of a process that is a client; the test binary plays the
// SDK's.
const envTask = "FOREIGN_TASK" // JSON

// task is what a client is told.
type task struct {
	Script         string // "all", "login" or "payloads"
	Addr           string
	Group          string
	Dir            string // for its files
	User, Password string
}

// Names in the scripts.
const (
	service    = "order"
	persistent = "order-on-disk"
	dataID     = "order.yaml"
	cutHere    = "cut the connections" // the step before which a client waits
)

func TestMain(m *testing.M) {
	text := os.Getenv(envTask)
	if text == "" {
		os.Exit(m.Run())
	}
	// The SDK's clients are not closed: it does not always survive that.
	if err := playSDK(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func playSDK(text string) error {
	s := &sdk{out: json.NewEncoder(os.Stdout)}
	if err := json.Unmarshal([]byte(text), &s.task); err != nil {
		return err
	}
	switch s.task.Script {
	case "all":
		return s.play()
	case "login":
		return s.playLogin()
	case "payloads":
		return s.playPayloads()
	}
	return fmt.Errorf("no script %q", s.task.Script)
}

// sdkProcess returns the command of a process that plays the SDK's script.
func sdkProcess(ctx context.Context, t *testing.T, of task) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(of)
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), envTask+"="+string(text), "GORACE=exitcode=0") // the SDK has races
	return cmd
}
