package graylane

import (
	"context"
	"crypto/tls"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestUpdateOfAPendingRegistrationIsWhatGetsAnnounced(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Stop()
	gl := open(t, WithServers(nacos.Addr()), WithVersion("v1"))
	reg, err := gl.Register(t.Context(), user, registry.NewInstance(":8081"))
	require.NoError(t, err)

	in := reg.Instance()
	in.Weight = 250
	in.Metadata["version"] = "v2"
	require.ErrorIs(t, reg.Update(ended(), in), context.Canceled)
	in.Metadata["version"] = "v3" // the caller's map stays the caller's
	bad := reg.Instance()
	bad.Metadata[""] = "x"
	require.ErrorIs(t, reg.Update(t.Context(), bad), registry.ErrInvalid)

	require.NoError(t, nacos.Restart(nacostest.WipeData))
	require.NoError(t, reg.Ready(soon(t)))
	got := nacos.Instances(user)
	require.Len(t, got, 1)
	assert.InDelta(t, 0.25, got[0].Weight, 0)
	assert.Equal(t, "v2", got[0].Metadata["version"])

	in.Weight = 2000
	require.NoError(t, reg.Update(soon(t), in))
	assert.InDelta(t, 2, nacos.Instances(user)[0].Weight, 0)
	assert.EqualValues(t, 2000, reg.Instance().Weight)
	require.NoError(t, reg.Close(soon(t)))
	assert.Empty(t, nacos.Instances(user))
	assert.Equal(t, registry.Closed, reg.State())
}

func TestUpdateIsTakenAsItIs(t *testing.T) {
	nacos := nacostest.Run(t)
	gl := open(t, WithServers(nacos.Addr()), WithWeight(0.5), WithVersion("v1"))
	reg, err := gl.Register(t.Context(), user, registry.NewInstance("127.0.0.1:8081"))
	require.NoError(t, err)
	in := reg.Instance()
	require.EqualValues(t, 500, in.Weight)
	in.Weight = registry.DefaultWeight
	require.NoError(t, reg.Update(soon(t), in))
	assert.EqualValues(t, registry.DefaultWeight, reg.Instance().Weight, "the client's weight is for Register")
}

func TestCloseOfTheClientEndsAPendingRegistration(t *testing.T) {
	noEnv(t)
	gl, err := Open(t.Context(), WithServers("127.0.0.1:1"))
	require.NoError(t, err)
	reg, err := gl.Register(t.Context(), user, registry.NewInstance(":8081"))
	require.NoError(t, err)
	ready := make(chan error, 1)
	go func() { ready <- reg.Ready(soon(t)) }()
	require.NoError(t, gl.Close())
	require.ErrorIs(t, <-ready, registry.ErrClosed)
	assert.Equal(t, registry.Closed, reg.State())
	require.ErrorIs(t, gl.Ready(soon(t)), registry.ErrClosed)
	_, err = gl.Register(t.Context(), user, registry.NewInstance(":8082"))
	require.ErrorIs(t, err, registry.ErrClosed)
}

// Close and the first connection race for each registration: whoever wins,
// nothing stays announced.
func TestClosedRegistrationIsNotAnnouncedWhenNacosComes(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Stop()
	gl := open(t, WithServers(nacos.Addr()))
	regs := make([]registry.Registration, 50)
	for i := range regs {
		var err error
		regs[i], err = gl.Register(t.Context(), user, registry.NewInstance(":"+strconv.Itoa(8000+i)))
		require.NoError(t, err)
	}
	stays, err := gl.Register(t.Context(), user, registry.NewInstance(":9000"))
	require.NoError(t, err)
	require.NoError(t, nacos.Restart(nacostest.WipeData))
	require.NoError(t, gl.naming.Ready(soon(t))) // now they all wake up
	var wg sync.WaitGroup
	for _, reg := range regs {
		wg.Go(func() { assert.NoError(t, reg.Close(soon(t))) })
	}
	wg.Wait()
	require.NoError(t, stays.Ready(soon(t)))
	require.Eventually(t, func() bool {
		left := nacos.Instances(user)
		return len(left) == 1 && left[0].Port == 9000
	}, 10*time.Second, time.Millisecond)
}

// The narrowest moment of that race: Close has marked the registration, and the
// address arrives before Close can end the wait for it.
func TestAddressThatComesDuringCloseIsNotAnnounced(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Stop()
	gl := open(t, WithServers(nacos.Addr()))
	reg, err := gl.Register(t.Context(), user, registry.NewInstance(":8081"))
	require.NoError(t, err)
	l, ok := reg.(*late)
	require.True(t, ok)
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	require.NoError(t, nacos.Restart(nacostest.WipeData))
	require.ErrorIs(t, reg.Ready(soon(t)), registry.ErrClosed)
	assert.Nil(t, l.inner)
}

func TestOpenWithAContextThatIsOverFails(t *testing.T) {
	noEnv(t)
	_, err := Open(ended())
	require.ErrorIs(t, err, context.Canceled)
	gl := open(t)
	_, err = gl.Register(ended(), user, registry.NewInstance(":8081"))
	require.ErrorIs(t, err, context.Canceled)
}

func TestLoggerHearsWhyThereIsNoNacos(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	open(t, WithServers("127.0.0.1:1"), WithLogger(zap.New(core)))
	require.Eventually(t, func() bool { return logs.Len() > 0 }, 10*time.Second, time.Millisecond)
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "nacos 127.0.0.1:1001: connection refused")
}

func TestWithTLSSpeaksTLS(t *testing.T) {
	addr, grpc := pair(t)
	open(t, WithServers(addr), WithTLS(&tls.Config{MinVersion: tls.VersionTLS12}))
	conn, err := grpc.Accept()
	require.NoError(t, err)
	defer conn.Close()
	first := make([]byte, 1)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Read(first)
	require.NoError(t, err)
	assert.Equal(t, byte(22), first[0], "a TLS handshake record")
}

func TestHooksHearWhatNacosRefuses(t *testing.T) {
	nacos := nacostest.Run(t)
	nacos.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ConfigQueryRequest" || r.Type == "SubscribeServiceRequest" {
			return nacostest.Fail(500, "not today")
		}
		return nacostest.Pass()
	})
	type report struct {
		service registry.Service
		err     string
	}
	reports := make(chan report, 100)
	gl := open(t, WithServers(nacos.Addr()), WithHooks(resolver.Hooks{OnError: func(s registry.Service, err error) {
		select {
		case reports <- report{s, err.Error()}:
		default:
		}
	}}))
	view, err := gl.Resolver().View(gl.Resolver().Service("user"), "")
	require.NoError(t, err)
	defer view.Close()

	ctx := soon(t)
	var service, document bool
	for !service || !document {
		select {
		case r := <-reports:
			if r.service == gl.Resolver().Service("user") {
				assert.Contains(t, r.err, "SubscribeServiceRequest refused: not today")
				service = true
				continue
			}
			assert.Regexp(t, `^document gray\.(user|_global)\.yaml: .*ConfigQueryRequest refused: not today`, r.err)
			document = document || strings.Contains(r.err, "gray.user.yaml")
		case <-ctx.Done():
			require.Fail(t, "not reported", "service %v, document %v", service, document)
		}
	}
}
