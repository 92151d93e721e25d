package graylane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) {
	if err := os.Setenv(envCache, noCache); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// open opens a client that ends with the test.
func open(t *testing.T, opts ...Option) *Client {
	t.Helper()
	noEnv(t)
	gl, err := Open(t.Context(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, gl.Close()) })
	return gl
}

// soon bounds what should happen at once.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var user = registry.Service{Name: "user"}

func TestAProviderIsSeenByAConsumer(t *testing.T) {
	nacos := nacostest.Run(t)
	provider := open(t, WithServers(nacos.Addr()), WithVersion("v2"), WithWeight(0.5),
		WithLabels(map[string]string{"region": "sh", "zone": "a"}))
	in := registry.NewInstance(":8081")
	in.Metadata = map[string]string{"protocol": "http", "zone": "b"}
	reg, err := provider.Register(t.Context(), user, in)
	require.NoError(t, err)
	require.NoError(t, reg.Ready(soon(t)))
	assert.Equal(t, registry.Registered, reg.State())

	consumer := open(t, WithServers(nacos.Addr()))
	require.NoError(t, consumer.Ready(soon(t)))
	view, err := consumer.Resolver().View(consumer.Resolver().Service("user"), "")
	require.NoError(t, err)
	require.NoError(t, view.Ready(soon(t)))
	list := view.State().Snapshot
	require.Equal(t, 1, list.Len())
	got := list.At(0)
	assert.Equal(t, "127.0.0.1:8081", got.Addr, "the address of the connection to Nacos")
	assert.EqualValues(t, 500, got.Weight)
	labels := maps.Clone(got.Metadata)
	assert.NotEmpty(t, labels["boot"])
	delete(labels, "boot")
	assert.Equal(t, map[string]string{"version": "v2", "region": "sh", "zone": "b", "protocol": "http"}, labels,
		"what the instance says itself goes first")

	require.NoError(t, reg.Close(soon(t)))
	ended := errors.New("gone")
	ctx, cancel := context.WithCancelCause(soon(t))
	err = view.Watch(ctx, func(s *resolver.State) {
		if s.Snapshot.Len() == 0 {
			cancel(ended)
		}
	})
	require.ErrorIs(t, err, ended)
}

func TestAnInstanceMayHaveAnAddressAndWeightOfItsOwn(t *testing.T) {
	nacos := nacostest.Run(t)
	gl := open(t, WithServers(nacos.Addr()), WithIP("10.9.8.7"), WithWeight(3))
	for addr, want := range map[string]string{
		"10.1.1.1:80": "10.1.1.1:80",
		":81":         "10.9.8.7:81",
		"0.0.0.0:82":  "10.9.8.7:82",
		"[::]:83":     "10.9.8.7:83",
		"[fd00::1]:8": "[fd00::1]:8",
	} {
		in := registry.NewInstance(addr)
		reg, err := gl.Register(t.Context(), registry.Service{Name: "s" + strconv.Itoa(len(addr))}, in)
		require.NoError(t, err, addr)
		assert.Equal(t, want, reg.Instance().Addr)
		assert.EqualValues(t, 3000, reg.Instance().Weight)
		require.NoError(t, reg.Close(soon(t)))
	}
	plain, err := gl.Register(t.Context(), registry.Service{Name: "plain"}, registry.Instance{Addr: ":80"})
	require.NoError(t, err)
	assert.True(t, plain.Instance().Healthy && plain.Instance().Enabled)
	assert.EqualValues(t, 3000, plain.Instance().Weight)

	in := registry.NewInstance(":80")
	in.Weight = 7
	reg, err := gl.Register(t.Context(), user, in)
	require.NoError(t, err)
	assert.EqualValues(t, 7, reg.Instance().Weight)
}

func TestWhatCanNeverBeRegisteredIsRefusedAtOnce(t *testing.T) {
	gl := open(t, WithServers("127.0.0.1:1")) // nobody there
	for _, addr := range []string{"", "host", "host:80", "10.0.0.1:0", ":0", ":70000"} {
		_, err := gl.Register(t.Context(), user, registry.NewInstance(addr))
		require.ErrorIs(t, err, registry.ErrInvalid, addr)
	}
	_, err := gl.Register(t.Context(), registry.Service{Name: "a/b"}, registry.NewInstance(":80"))
	require.ErrorIs(t, err, registry.ErrInvalid)
}

func TestWithoutNacosARegistrationIsPending(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Stop()
	gl := open(t, WithServers(nacos.Addr()))
	reg, err := gl.Register(t.Context(), user, registry.NewInstance(":8081"))
	require.NoError(t, err)
	assert.Equal(t, registry.Pending, reg.State())
	assert.Equal(t, ":8081", reg.Instance().Addr)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	require.ErrorContains(t, reg.Ready(ctx), "connection refused")

	require.NoError(t, nacos.Restart(nacostest.WipeData))
	require.NoError(t, reg.Ready(soon(t)))
	assert.Equal(t, "127.0.0.1:8081", reg.Instance().Addr)
	assert.Len(t, nacos.Instances(user), 1)
}

func TestAPendingRegistrationCanBeClosed(t *testing.T) {
	gl := open(t, WithServers("127.0.0.1:1"))
	reg, err := gl.Register(t.Context(), user, registry.NewInstance(":8081"))
	require.NoError(t, err)
	require.NoError(t, reg.Close(soon(t)))
	assert.Equal(t, registry.Closed, reg.State())
	require.ErrorIs(t, reg.Ready(soon(t)), registry.ErrClosed)
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	gl := open(t, WithServers("127.0.0.1:1"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := gl.Ready(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "nacos 127.0.0.1:1001: connection refused (gRPC port = HTTP port + 1000)")
}

func TestErrorsReachTheHooks(t *testing.T) {
	reported := make(chan error, 100)
	open(t, WithServers("127.0.0.1:1"), WithHooks(resolver.Hooks{OnError: func(_ registry.Service, err error) {
		select {
		case reported <- err:
		default:
		}
	}}))
	select {
	case err := <-reported:
		require.ErrorContains(t, err, "connection refused")
	case <-soon(t).Done():
		t.Fatal("nobody was told that Nacos cannot be reached")
	}
}

func TestCloseIsQuickWhateverNacosDoes(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) string{
		"nothing listens": func(*testing.T) string { return "127.0.0.1:1" },
		"accepts and is silent": func(t *testing.T) string {
			t.Helper()
			addr, _ := pair(t)
			return addr
		},
		"hangs after the start": func(t *testing.T) string {
			t.Helper()
			nacos := nacostest.Run(t)
			hang := sync.OnceFunc(func() { nacos.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() }) })
			t.Cleanup(hang)
			time.AfterFunc(300*time.Millisecond, hang)
			return nacos.Addr()
		},
	} {
		t.Run(name, func(t *testing.T) {
			noEnv(t)
			gl, err := Open(t.Context(), WithServers(start(t)))
			require.NoError(t, err)
			_, err = gl.Register(t.Context(), user, registry.NewInstance(":8081"))
			require.NoError(t, err)
			view, err := gl.Resolver().View(gl.Resolver().Service("user"), "http")
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_ = view.Ready(ctx) // gives the hang its time

			begin := time.Now()
			require.NoError(t, gl.Close())
			require.NoError(t, gl.Close())
			assert.Less(t, time.Since(begin), 2*time.Second)
			_, err = gl.Register(t.Context(), user, registry.NewInstance(":8082"))
			require.ErrorIs(t, err, registry.ErrClosed)
			_, err = gl.Resolver().View(user, "http")
			require.ErrorIs(t, err, resolver.ErrClosed)
		})
	}
}

// pair listens at a port, whose address it returns, and at that port + 1000.
// Connections are accepted by the system; nothing answers.
func pair(t *testing.T) (addr string, grpc net.Listener) {
	t.Helper()
	for range 50 {
		http, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		_, port, err := net.SplitHostPort(http.Addr().String())
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		grpc, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1000)))
		if err != nil {
			http.Close()
			continue
		}
		t.Cleanup(func() { http.Close(); grpc.Close() })
		return http.Addr().String(), grpc
	}
	t.Fatal("no two free ports 1000 apart")
	return "", nil
}

func TestRulesComeFromNacos(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Publish(config.DefaultGroup, config.ServiceDocID("user"), "gray: v1\ndefault: v1\n")
	gl := open(t, WithServers(nacos.Addr()))
	view, err := gl.Resolver().View(gl.Resolver().Service("user"), "")
	require.NoError(t, err)
	require.NoError(t, view.Ready(soon(t)))
	require.NotNil(t, view.State().Rules)
	assert.Equal(t, "v1", view.State().Rules.Default)
}
