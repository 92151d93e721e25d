package zapx_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/zapx"
)

const rules = `
gray: v1
default: v1
rules:
- {name: asked, by: header.x-gray-version, missing: fail}
- {name: testers, when: {user: ann}, to: v2}
- {name: half, when: {user: bob}, sticky: user, to: {v2: 50%}}
- {name: absent, when: {user: eve}, to: v3}
- {name: rest, sticky: user, to: {v2: 10%}}
`

type requestID struct{}

// request is one by a user, for a version that a header names.
type request struct{ user, version string }

func (r request) Header(name config.HeaderName) (string, bool) {
	return r.version, r.version != "" && name.Lower == lane.HeaderVersion
}
func (request) Cookie(string) (string, bool) { return "", false }
func (request) Query(string) (string, bool)  { return "", false }
func (request) Path() string                 { return "/" }
func (request) Method() string               { return "GET" }
func (r request) User() string               { return r.user }
func (request) Lane() string                 { return "" }

// logged returns a view whose decisions are logged. It closes at the end of the test, or
// before, with stop.
func logged(tb testing.TB, every int) (v *resolver.View, logs *observer.ObservedLogs, stop func()) {
	tb.Helper()
	core, logs := observer.New(zap.DebugLevel)
	fields := zapx.WithContext(func(ctx context.Context) []zap.Field {
		id, _ := ctx.Value(requestID{}).(string)
		return []zap.Field{zap.String("request_id", id)}
	})
	docs := make(source, 1)
	docs <- rules
	reg := memory.New()
	r, err := resolver.New(reg, docs, resolver.WithHooks(zapx.Decisions(zap.New(core), every, fields)), resolver.WithSlowStart(0))
	require.NoError(tb, err)
	list := []registry.Instance{registry.NewInstance("10.0.0.1:80"), registry.NewInstance("10.0.0.2:80")}
	for i := range list {
		list[i].Metadata = map[string]string{registry.KeyVersion: fmt.Sprint("v", i+1)}
	}
	reg.Set(r.Service("user"), list...)
	v, err = r.View(r.Service("user"), "http")
	require.NoError(tb, err)
	require.NoError(tb, v.Ready(tb.Context()))
	stop = sync.OnceFunc(func() { v.Close(); require.NoError(tb, r.Close()) })
	tb.Cleanup(stop)
	return v, logs, stop
}

// send makes a request of one attempt.
func send(ctx context.Context, v *resolver.View, r request, o resolver.Outcome) error {
	c, err := v.Pick(ctx, r, nil)
	if err == nil {
		c.Done(ctx, o)
	}
	return err
}

func TestALineSaysWhatWasDecided(t *testing.T) {
	t.Parallel()
	v, logs, _ := logged(t, 1)
	ctx := lane.With(context.WithValue(t.Context(), requestID{}, "r1"), "blue")
	md5 := v.State().Revision()
	for _, c := range []struct {
		request request
		outcome resolver.Outcome
		err     error
		level   zapcore.Level
		message string
		want    map[string]any
	}{
		{
			request{user: "ann"},
			resolver.Outcome{Status: 200},
			nil, zap.InfoLevel, "request decided",
			map[string]any{"via": "rule", "rule": "testers", "target": "v2", "version": "v2", "addr": "10.0.0.2:80"},
		},
		{
			request{user: "bob"},
			resolver.Outcome{Status: 200},
			nil, zap.InfoLevel, "request decided",
			map[string]any{"via": "rule", "rule": "half", "target": "v1", "version": "v1", "addr": "10.0.0.1:80", "slot": int64(6174)},
		},
		{
			request{},
			resolver.Outcome{Status: 200},
			nil, zap.InfoLevel, "request decided",
			map[string]any{"via": "rule", "rule": "rest", "target": "v1", "version": "v1", "addr": "10.0.0.1:80", "keyless": true},
		},
		{
			request{user: "eve"},
			resolver.Outcome{Status: 200},
			nil, zap.WarnLevel, "request fell back",
			map[string]any{"via": "rule", "rule": "absent", "target": "v3", "fallback": "default", "version": "v1", "addr": "10.0.0.1:80"},
		},
		{
			request{version: "v9"},
			resolver.Outcome{},
			balancer.ErrNoInstance, zap.WarnLevel, "request found no instance",
			map[string]any{"via": "rule", "rule": "asked", "target": "v9", "reason": "no_instance"},
		},
	} {
		err := send(ctx, v, c.request, c.outcome)
		require.ErrorIs(t, err, c.err)
		if err != nil {
			c.want["error"] = err.Error()
		}
		c.want["service"], c.want["protocol"], c.want["attempt"] = "public/DEFAULT_GROUP/user", "http", int64(1)
		c.want["rules_md5"], c.want["list_revision"] = md5, uint64(1)
		c.want["lane"], c.want["request_id"] = "blue", "r1"
		all := logs.TakeAll()
		require.Len(t, all, 1, "%v", all)
		assert.Equal(t, c.message, all[0].Message)
		assert.Equal(t, c.level, all[0].Level)
		assert.Equal(t, c.want, all[0].ContextMap())
	}
}

func TestFailedAttemptsAreLogged(t *testing.T) {
	t.Parallel()
	v, logs, _ := logged(t, 0)
	require.NoError(t, send(t.Context(), v, request{}, resolver.Outcome{Status: 503}))
	require.NoError(t, send(t.Context(), v, request{}, resolver.Outcome{Err: syscall.ECONNRESET}))
	require.NoError(t, send(t.Context(), v, request{}, resolver.Outcome{Status: 200}))
	require.NoError(t, send(t.Context(), v, request{}, resolver.Outcome{Err: context.Canceled}))
	all := logs.TakeAll()
	require.Len(t, all, 2)
	for _, line := range all {
		assert.Equal(t, "attempt failed", line.Message)
		assert.Equal(t, "bad", line.ContextMap()["result"])
		assert.Contains(t, line.ContextMap(), "took")
	}
	assert.Equal(t, int64(503), all[0].ContextMap()["status"])
	assert.Equal(t, syscall.ECONNRESET.Error(), all[1].ContextMap()["error"])
	assert.NotContains(t, all[1].ContextMap(), "status")
}

func TestARetryIsNoDecision(t *testing.T) {
	t.Parallel()
	v, logs, _ := logged(t, 1)
	c, err := v.Pick(t.Context(), request{}, nil)
	require.NoError(t, err)
	c.Done(t.Context(), resolver.Outcome{Status: 200})
	c, err = c.Next(t.Context(), nil)
	require.NoError(t, err)
	c.Done(t.Context(), resolver.Outcome{Status: 200})
	assert.Equal(t, 1, logs.Len())
}

// all skips everybody.
type all struct{}

func (all) Skip(*balancer.Endpoint) bool { return true }

func TestToSkipAllIsNoWarning(t *testing.T) {
	t.Parallel()
	v, logs, _ := logged(t, 0)
	_, err := v.Pick(t.Context(), request{}, all{})
	require.ErrorIs(t, err, balancer.ErrSkipped)
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, zap.InfoLevel, logs.All()[0].Level)
	assert.Equal(t, "skipped", logs.All()[0].ContextMap()["reason"])
}

func TestOneOfSoManyIsLogged(t *testing.T) {
	t.Parallel()
	for every, want := range map[int]int{-1: 0, 0: 0, 1: 50, 20: 3, 1000: 1} {
		v, logs, _ := logged(t, every)
		for range 50 {
			require.NoError(t, send(t.Context(), v, request{}, resolver.Outcome{}))
		}
		assert.Equal(t, want, logs.Len(), every)
	}
}

func TestAnOutageIsNoFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, logs, stop := logged(t, 1)
		defer stop()
		for range 5 * zapx.MaxLines {
			require.Error(t, send(t.Context(), v, request{version: "v9"}, resolver.Outcome{}))
		}
		require.Len(t, logs.TakeAll(), zapx.MaxLines)
		require.NoError(t, send(t.Context(), v, request{user: "ann"}, resolver.Outcome{}), "good ones are still logged")
		all := logs.TakeAll()
		require.Len(t, all, 1)
		assert.Equal(t, int64(4*zapx.MaxLines), all[0].ContextMap()["dropped"])

		require.Error(t, send(t.Context(), v, request{version: "v9"}, resolver.Outcome{}))
		require.Zero(t, logs.Len(), "the second is not over")
		time.Sleep(time.Second) //nolint:forbidigo // inside a synctest bubble
		require.Error(t, send(t.Context(), v, request{version: "v9"}, resolver.Outcome{}))
		all = logs.TakeAll()
		require.Len(t, all, 1)
		assert.Equal(t, int64(1), all[0].ContextMap()["dropped"])
	})
}

func TestALevelThatIsOffCostsNothing(t *testing.T) {
	core, _ := observer.New(zap.ErrorLevel)
	reg := memory.New()
	r, err := resolver.New(reg, nil)
	require.NoError(t, err)
	defer r.Close()
	reg.Set(r.Service("user"), registry.NewInstance("10.0.0.1:80"))
	v, err := r.View(r.Service("user"), "http")
	require.NoError(t, err)
	defer v.Close()
	c, err := v.Pick(t.Context(), request{}, nil)
	require.NoError(t, err)
	defer c.Done(t.Context(), resolver.Outcome{})
	hooks, ctx := zapx.Decisions(zap.New(core), 1), t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		hooks.OnPick(ctx, c, nil)
		hooks.OnDone(ctx, c, resolver.Outcome{Status: 503}, time.Second)
	}))
}

func TestARequestBeforeThereIsAStateIsLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	r, err := resolver.New(memory.New(), make(source), resolver.WithHooks(zapx.Decisions(zap.New(core), 1)))
	require.NoError(t, err)
	defer r.Close()
	v, err := r.View(r.Service("user"), "grpc")
	require.NoError(t, err)
	defer v.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err = v.Pick(ctx, request{}, nil)
	require.ErrorIs(t, err, resolver.ErrNotReady)
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, map[string]any{
		"service": "public/DEFAULT_GROUP/user", "protocol": "grpc", "attempt": int64(1), "reason": "not_ready", "error": err.Error(),
	}, logs.All()[0].ContextMap())
}

func ExampleDecisions() {
	logger := zap.NewExample()
	reg := memory.New() // in production: graylane.Open, with graylane.WithHooks
	reg.Set(registry.Service{Name: "user"}, registry.NewInstance("127.0.0.1:8080"))
	r, err := resolver.New(reg, nil, resolver.WithHooks(zapx.Decisions(logger, 1000)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	v, err := r.View(r.Service("user"), "http")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	for range 3 {
		call, err := v.Pick(context.Background(), request{}, nil) // httpx and grpcx do
		if err != nil {
			fmt.Println(err)
			return
		}
		call.Done(context.Background(), resolver.Outcome{Status: 200})
	}
	// Output: {"level":"info","msg":"request decided","service":"public/DEFAULT_GROUP/user","protocol":"http","attempt":1,"via":"default","list_revision":1,"addr":"127.0.0.1:8080"}
}
