package otelx_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/otelx"
)

const rules = `
gray: v1
default: v1
rules:
- {name: asked, by: header.x-gray-version, missing: fail}
- {name: sticky, when: {header.x-half: "1"}, sticky: user, to: {v2: 50%}}
`

func answer(status int) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) })
}

// get sends a request, and reads the answer to its end.
func get(ctx context.Context, rt http.RoundTripper, url string, headers ...string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, err
}

func TestTheDecisionIsOnTheCallersSpan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"gray.user.yaml": rules})
	v1 := w.serve(t, "user", map[string]string{"version": "v1"}, answer(200))
	v2 := w.serve(t, "user", map[string]string{"version": "v2"}, answer(200))
	md5 := config.NewDoc([]byte(rules)).MD5
	transport := w.transport(t)
	for name, c := range map[string]struct {
		headers []string
		port    string
		want    map[string]any
	}{
		"the default": {nil, v1.URL[len("http://127.0.0.1:"):], map[string]any{
			"graylane.via": "default", "graylane.target": "v1", "graylane.version": "v1", "graylane.lane": "blue",
		}},
		"a rule": {[]string{lane.HeaderVersion, "v2"}, v2.URL[len("http://127.0.0.1:"):], map[string]any{
			"graylane.via": "rule", "graylane.rule": "asked", "graylane.target": "v2", "graylane.version": "v2", "graylane.lane": "blue",
		}},
		"a split without its key": {[]string{"x-half", "1"}, v1.URL[len("http://127.0.0.1:"):], map[string]any{
			"graylane.via": "rule", "graylane.rule": "sticky", "graylane.target": "v1", "graylane.version": "v1", "graylane.lane": "blue",
			"graylane.keyless": true,
		}},
	} {
		ctx, end := w.span(lane.With(t.Context(), "blue"))
		status, err := get(ctx, transport, "http://user/", c.headers...)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		span := end()
		port, err := strconv.ParseInt(c.port, 10, 64)
		require.NoError(t, err)
		c.want["graylane.service"], c.want["server.address"], c.want["server.port"] = "user", "127.0.0.1", port
		c.want["graylane.rules.md5"], c.want["graylane.list.revision"] = md5, int64(1)
		assert.Equal(t, c.want, ours(span.Attributes()), name)
		assert.Empty(t, span.Events(), name)
	}
}

func TestRetriesAndRefusalsAreEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"gray.user.yaml": rules})
	var failed atomic.Int64
	bad := w.serve(t, "user", map[string]string{"version": "v1"}, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		failed.Add(1)
		rw.WriteHeader(http.StatusServiceUnavailable)
	}))
	good := w.serve(t, "user", map[string]string{"version": "v1"}, answer(200))
	transport := w.transport(t)
	var span sdktrace.ReadOnlySpan
	for i := 0; i < 100 && failed.Load() == 0; i++ { // until one begins with the bad one
		ctx, end := w.span(t.Context())
		status, err := get(ctx, transport, "http://user/")
		require.NoError(t, err)
		require.Equal(t, 200, status)
		span = end()
	}
	port := func(url string) int64 {
		n, err := strconv.ParseInt(url[len("http://127.0.0.1:"):], 10, 64)
		require.NoError(t, err)
		return n
	}
	events := span.Events()
	require.Len(t, events, 2)
	assert.Equal(t, "graylane.failed", events[0].Name)
	assert.Equal(t, map[string]any{
		"graylane.version": "v1", "server.address": "127.0.0.1", "server.port": port(bad.URL),
		"graylane.attempt": int64(1), "graylane.result": "bad",
	}, ours(events[0].Attributes))
	assert.Equal(t, "graylane.retry", events[1].Name)
	assert.Equal(t, map[string]any{
		"graylane.version": "v1", "server.address": "127.0.0.1", "server.port": port(good.URL), "graylane.attempt": int64(2),
	}, ours(events[1].Attributes))
	attrs := ours(span.Attributes())
	assert.Equal(t, port(good.URL), attrs["server.port"], "the newest attempt's")
	assert.Equal(t, int64(1), attrs["http.request.resend_count"])

	ctx, end := w.span(t.Context())
	_, err := get(ctx, transport, "http://user/", lane.HeaderVersion, "v9")
	require.ErrorIs(t, err, balancer.ErrNoInstance)
	span = end()
	require.Len(t, span.Events(), 1)
	assert.Equal(t, "graylane.refused", span.Events()[0].Name)
	event := ours(span.Events()[0].Attributes)
	assert.Equal(t, "no_instance", event["graylane.reason"])
	assert.Contains(t, event["graylane.error"], `target "v9"`)
	attrs = ours(span.Attributes())
	assert.Equal(t, "asked", attrs["graylane.rule"])
	assert.NotContains(t, attrs, "server.address")

	ctx, end = w.span(t.Context())
	_, err = get(ctx, transport, "http://nobody/")
	require.ErrorIs(t, err, resolver.ErrUnknownService)
	assert.Equal(t, "unknown_service", ours(end().Events()[0].Attributes)["graylane.reason"])
}

func TestTheLaneOfAMessageIsOnTheSpan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.serve(t, "user", map[string]string{registry.KeyLane: "blue"}, answer(200))
	ctx, end := w.span(t.Context())
	_, err := get(ctx, w.transport(t), "http://user/", lane.HeaderLane, "blue")
	require.NoError(t, err)
	assert.Subset(t, ours(end().Attributes()), map[string]any{"graylane.via": "lane", "graylane.lane": "blue"})
}

func TestOnlyHTTPHasAResendCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Set(w.resolver.Service("user"), registry.NewInstance("[::1]:80"))
	for protocol, want := range map[string]any{"http": int64(1), "grpc": nil} {
		v, err := w.resolver.View(w.resolver.Service("user"), protocol)
		require.NoError(t, err)
		t.Cleanup(v.Close)
		ctx, end := w.span(t.Context())
		c, err := v.Pick(ctx, unmarked{}, nil)
		require.NoError(t, err)
		c.Done(ctx, resolver.Outcome{Status: 14})
		c, err = c.Next(ctx, nil)
		require.NoError(t, err)
		c.Done(ctx, resolver.Outcome{})
		attrs := ours(end().Attributes())
		assert.Equal(t, want, attrs["http.request.resend_count"], protocol)
		assert.Equal(t, "::1", attrs["server.address"])
	}
}

func TestASpanThatDoesNotRecordCostsNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.serve(t, "user", nil, answer(200))
	v, err := w.resolver.View(w.resolver.Service("user"), "http")
	require.NoError(t, err)
	defer v.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/", http.NoBody)
	require.NoError(t, err)
	_, err = get(t.Context(), w.transport(t), req.URL.String())
	require.NoError(t, err, "a request without a span")

	tracing := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, span := tracing.Tracer("test").Start(t.Context(), "request")
	defer span.End()
	c, err := v.Pick(ctx, unmarked{}, nil)
	require.NoError(t, err)
	defer c.Done(ctx, resolver.Outcome{})
	hooks := otelx.Hooks()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		hooks.OnPick(ctx, c, nil)
		hooks.OnDone(ctx, c, resolver.Outcome{Status: 503}, time.Second)
	}))
}

// unmarked is a request without anything.
type unmarked struct{}

func (unmarked) Header(config.HeaderName) (string, bool) { return "", false }
func (unmarked) Cookie(string) (string, bool)            { return "", false }
func (unmarked) Query(string) (string, bool)             { return "", false }
func (unmarked) Path() string                            { return "/" }
func (unmarked) Method() string                          { return "GET" }
func (unmarked) User() string                            { return "" }
func (unmarked) Lane() string                            { return "" }

func ExampleHooks() {
	spans := tracetest.NewSpanRecorder() // the application's SDK
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("shop")

	reg := memory.New() // in production: graylane.Open, with graylane.WithHooks
	in, stop := exampleProvider()
	defer stop()
	reg.Set(registry.Service{Name: "user"}, in)
	r, err := resolver.New(reg, nil, resolver.WithHooks(otelx.Hooks()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	transport := httpx.NewTransport(r) // otelhttp.NewTransport(transport) makes a span for each request
	defer transport.Close()

	ctx, span := tracer.Start(context.Background(), "checkout")
	status, err := get(ctx, transport, "http://user/")
	fmt.Println(status, err)
	span.End()
	attrs := ours(spans.Ended()[0].Attributes())
	fmt.Println(attrs["graylane.service"], attrs["graylane.via"], attrs["graylane.version"])
	// Output:
	// 200 <nil>
	// user default v1
}
