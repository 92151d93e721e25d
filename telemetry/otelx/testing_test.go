package otelx_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/otelx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a registry, a resolver with the hooks, and the spans that have ended.
type world struct {
	*memory.Registry
	resolver *resolver.Resolver
	spans    *tracetest.SpanRecorder
	tracing  *sdktrace.TracerProvider
}

func newWorld(tb testing.TB, docs map[string]string) *world {
	tb.Helper()
	w := &world{Registry: memory.New(), spans: tracetest.NewSpanRecorder()}
	w.tracing = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans))
	tb.Cleanup(func() { require.NoError(tb, w.tracing.Shutdown(context.WithoutCancel(tb.Context()))) })
	var err error
	w.resolver, err = resolver.New(w.Registry, configmemory.New(docs), resolver.WithHooks(otelx.Hooks()), resolver.WithSlowStart(0))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, w.resolver.Close()) })
	return w
}

func (w *world) span(ctx context.Context) (context.Context, func() sdktrace.ReadOnlySpan) {
	ctx, span := w.tracing.Tracer("test").Start(ctx, "request")
	return ctx, func() sdktrace.ReadOnlySpan {
		span.End()
		ended := w.spans.Ended()
		return ended[len(ended)-1]
	}
}

// serve starts an instance of a service. Wrap is what stands around the handler.
func (w *world) serve(tb testing.TB, service string, labels map[string]string, h http.Handler) *httptest.Server {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	in := registry.NewInstance(srv.Listener.Addr().String())
	in.Metadata = labels
	_, err := w.Register(tb.Context(), w.resolver.Service(service), in)
	require.NoError(tb, err)
	return srv
}

// transport is httpx's, until the end of the test.
func (w *world) transport(tb testing.TB) *httpx.Transport {
	tb.Helper()
	t := httpx.NewTransport(w.resolver)
	tb.Cleanup(t.Close)
	return t
}

func propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, otelx.Baggage{})
}

// ours returns the attributes of graylane, and those beside them that it sets.
func ours(attrs []attribute.KeyValue) map[string]any {
	out := map[string]any{}
	for _, a := range attrs {
		out[string(a.Key)] = a.Value.AsInterface()
	}
	return out
}
