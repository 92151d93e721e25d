package foreign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

// TestClientsLogIn compares with what the clients observed on a Nacos 3.1.0 that
// demands a login. That was recorded once; for our own clients on real servers see
// nacos2.TestProvidersAndConsumersLogIn.
func TestClientsLogIn(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("nacos", "secret"))
	jars := javaJars(t)
	ctx, cancel := context.WithTimeout(t.Context(), processTimeout)
	defer cancel()
	var running sync.WaitGroup
	runs := map[string]*run{}
	for kind, password := range map[string]string{"right": "secret", "wrong": "x"} {
		for name, process := range map[string]func(task) *exec.Cmd{
			"nacos-sdk-go": func(of task) *exec.Cmd { return sdkProcess(ctx, t, of) },
			"java":         func(of task) *exec.Cmd { return javaProcess(ctx, jars, of) },
		} {
			r := &run{}
			runs[name+"-"+kind] = r
			cmd := process(task{
				Script: "login", Addr: srv.Addr(), Group: "G-" + name + "-" + kind, Dir: t.TempDir(), User: "nacos", Password: password,
			})
			running.Go(func() { r.seen, r.err = watch(ctx, cmd, nil) })
		}
	}
	running.Wait()
	for name, r := range runs {
		require.NoError(t, r.err, name)
		assert.Equal(t, recording(t, "testdata/login-"+name+".jsonl"), r.seen, name)
	}
}

func recording(t *testing.T, path string) []observation {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var list []observation
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var o observation
		require.NoError(t, dec.Decode(&o))
		list = append(list, o)
	}
	return list
}

// TestOurClientsLogInAnew takes our clients' tokens away.
func TestOurClientsLogInAnew(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", "p"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	credentials := registrynacos.UserPassword("u", "p")
	reg, err := registrynacos.New(registrynacos.Config{Servers: []string{srv.Addr()}, Credentials: credentials})
	require.NoError(t, err)
	defer func() { require.NoError(t, reg.Close()) }()
	conf, err := confignacos.New(confignacos.Config{Servers: []string{srv.Addr()}, Credentials: credentials})
	require.NoError(t, err)
	defer func() { require.NoError(t, conf.Close()) }()

	watching, stop := context.WithCancel(ctx)
	docs := make(chan config.Doc, 100)
	watched := make(chan error, 1)
	go func() { watched <- conf.Watch(watching, dataID, func(d config.Doc) { docs <- d }) }()
	assert.Equal(t, config.Absent, (<-docs).State)
	for i, content := range []string{"a: 1", "a: 2"} {
		_, err := reg.Register(ctx, registry.Service{Name: service}, registry.NewInstance([]string{"10.0.0.1:80", "10.0.0.1:81"}[i]))
		require.NoError(t, err)
		require.NoError(t, conf.Publish(ctx, dataID, []byte(content), ""))
		assert.Equal(t, content, string((<-docs).Content))
		if i == 0 { // once: who is refused again right after a login does not try a third time
			srv.RevokeTokens()
		}
	}
	_, err = srv.AwaitInstances(ctx, registry.Service{Name: service}, 2)
	require.NoError(t, err)
	stop()
	require.ErrorIs(t, <-watched, context.Canceled)
}

// TestOurClientsSayThatALoginFailed has a wrong password.
func TestOurClientsSayThatALoginFailed(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", "p"))
	reg, err := registrynacos.New(registrynacos.Config{
		Servers: []string{srv.Addr()}, Credentials: registrynacos.UserPassword("u", "x"),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, reg.Close()) }()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("enough"))
	defer cancel()
	err = reg.Ready(ctx)
	require.ErrorContains(t, err, `login of user "u" refused: status 500`)
}
