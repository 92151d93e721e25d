package otelx_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/telemetry/otelx"
)

// exampleProvider starts an instance and returns how to stop it.
func exampleProvider() (in registry.Instance, stop func()) {
	srv := httptest.NewServer(httpx.Handler(answer(http.StatusOK), httpx.WithVersion("v1")))
	in = registry.NewInstance(srv.Listener.Addr().String())
	in.Metadata = map[string]string{registry.KeyVersion: "v1"}
	return in, srv.Close
}

// arrival is what a service saw of a request.
type arrival struct {
	service, version, lane, tenant, header string
	trace                                  trace.TraceID
}

type arrivals struct {
	mu  sync.Mutex
	all []arrival
}

func (a *arrivals) note(ctx context.Context, service, version string, header []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, arrival{
		service, version, lane.From(ctx), baggage.FromContext(ctx).Member("tenant").Value(), lane.BaggageLane(header),
		trace.SpanFromContext(ctx).SpanContext().TraceID(),
	})
}

// withTenant returns a context with OpenTelemetry's own baggage.
func withTenant(ctx context.Context, tb testing.TB) context.Context {
	tb.Helper()
	tenant, err := baggage.NewMember("tenant", "acme")
	require.NoError(tb, err)
	b, err := baggage.New(tenant)
	require.NoError(tb, err)
	return baggage.ContextWithBaggage(ctx, b)
}

// clientSpans returns those of client side, the first hop first, once there are n.
func (w *world) clientSpans(tb testing.TB, n int) []sdktrace.ReadOnlySpan {
	tb.Helper()
	clients := func() []sdktrace.ReadOnlySpan {
		return slices.DeleteFunc(w.spans.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.SpanKind() != trace.SpanKindClient })
	}
	require.Eventually(tb, func() bool { return len(clients()) >= n }, 5*time.Second, time.Millisecond)
	spans := clients()
	slices.SortFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return spans
}

// oneTrace checks that spans are those of one trace, each hop's under the one before.
func (w *world) oneTrace(tb testing.TB, id trace.TraceID, clients []sdktrace.ReadOnlySpan) {
	tb.Helper()
	parent := map[trace.SpanID]trace.SpanID{}
	require.Eventually(tb, func() bool {
		clear(parent)
		for _, s := range w.spans.Ended() {
			parent[s.SpanContext().SpanID()] = s.Parent().SpanID()
		}
		return len(parent) >= 2*len(clients)
	}, 5*time.Second, time.Millisecond, "a span for each side of each hop")
	for i, s := range clients {
		assert.Equal(tb, id, s.SpanContext().TraceID())
		if i > 0 {
			assert.Equal(tb, clients[i-1].SpanContext().SpanID(), parent[s.Parent().SpanID()], "hop %d", i)
		}
	}
}

func TestAChainOfServicesIsOneTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"gray.front.yaml": "gray: v1\ndefault: v1\nrules:\n- {name: testers, when: {user: ann}, to: v2}\n",
		"gray.order.yaml": "gray: v1\ndefault: v1\n",
		"gray.stock.yaml": "gray: v1\ndefault: v1\nrules:\n- {name: new, when: {header.x-tag: x}, to: v3}\n",
	})
	var seen arrivals
	client := &http.Client{Transport: otelhttp.NewTransport(w.transport(t),
		otelhttp.WithTracerProvider(w.tracing), otelhttp.WithPropagators(propagator()))}
	service := func(name, version, inLane, next string) {
		labels := map[string]string{registry.KeyVersion: version}
		if inLane != "" {
			labels[registry.KeyLane] = inLane
		}
		app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			seen.note(r.Context(), name, version, r.Header.Values("baggage"))
			if next == "" {
				return
			}
			if status, err := get(r.Context(), client.Transport, "http://"+next+"/"); err != nil {
				rw.WriteHeader(http.StatusInternalServerError)
			} else {
				rw.WriteHeader(status)
			}
		})
		instrumented := otelhttp.NewHandler(app, name, otelhttp.WithTracerProvider(w.tracing), otelhttp.WithPropagators(propagator()))
		w.serve(t, name, labels, httpx.Handler(instrumented, httpx.WithVersion(version)))
	}
	service("front", "v1", "", "order")
	service("front", "v2", "", "order")
	service("order", "v1", "", "stock")
	service("order", "v9", "blue", "stock")
	service("stock", "v1", "", "")

	ctx := lane.WithHeader(lane.WithUser(lane.With(withTenant(t.Context(), t), "blue"), "ann"), lane.HeaderTag, "x")
	status, err := get(ctx, client.Transport, "http://front/")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)

	require.Len(t, seen.all, 3)
	id := seen.all[0].trace
	assert.Equal(t, []arrival{
		{"front", "v2", "blue", "acme", "blue", id}, {"order", "v9", "blue", "acme", "blue", id}, {"stock", "v1", "blue", "acme", "blue", id},
	}, seen.all)
	clients := w.clientSpans(t, 3)
	require.Len(t, clients, 3)
	w.oneTrace(t, id, clients)
	for i, want := range []map[string]any{
		{"graylane.service": "front", "graylane.via": "rule", "graylane.rule": "testers", "graylane.target": "v2", "graylane.version": "v2"},
		{"graylane.service": "order", "graylane.via": "lane", "graylane.target": "blue", "graylane.version": "v9"},
		{
			"graylane.service": "stock", "graylane.via": "rule", "graylane.rule": "new", "graylane.target": "v3",
			"graylane.fallback": "default", "graylane.version": "v1",
		},
	} {
		attrs := ours(clients[i].Attributes())
		assert.Subset(t, attrs, want)
		assert.Equal(t, "blue", attrs["graylane.lane"])
		assert.Equal(t, "127.0.0.1", attrs["server.address"])
		assert.NotEmpty(t, attrs["graylane.rules.md5"])
	}
}

// greeter answers, and asks another one first if it has a connection.
type greeter struct {
	hello.UnimplementedHelloServer
	*arrivals
	name string
	next hello.HelloClient
}

func (g *greeter) Say(ctx context.Context, req *hello.HelloRequest) (*hello.HelloReply, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	g.note(ctx, g.name, "v1", md.Get("baggage"))
	if g.next != nil {
		return g.next.Say(ctx, req)
	}
	return &hello.HelloReply{}, nil
}

// greeters starts two gRPC services, of which greeter asks clerk, and returns a client of
// greeter.
func (w *world) greeters(t *testing.T, seen *arrivals, p propagation.TextMapPropagator, opts ...grpcx.ServerOption) hello.HelloClient {
	t.Helper()
	connect := func(service string) hello.HelloClient {
		conn, err := grpcx.NewClient(w.resolver, service, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(w.tracing), otelgrpc.WithPropagators(p))))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return hello.NewHelloClient(conn)
	}
	serve := func(g *greeter, opts ...grpcx.ServerOption) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := grpc.NewServer(append(grpcx.Interceptors(opts...), grpc.StatsHandler(
			otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(w.tracing), otelgrpc.WithPropagators(p))))...)
		hello.RegisterHelloServer(s, g)
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(ln) })
		t.Cleanup(func() { s.Stop(); wg.Wait() })
		in := registry.NewInstance(ln.Addr().String())
		in.Metadata = map[string]string{registry.KeyVersion: "v1", registry.KeyProtocol: "grpc"}
		_, err = w.Register(t.Context(), w.resolver.Service(g.name), in)
		require.NoError(t, err)
	}
	serve(&greeter{arrivals: seen, name: "clerk"})
	serve(&greeter{arrivals: seen, name: "greeter", next: connect("clerk")}, opts...)
	return connect("greeter")
}

func TestAChainOverGRPCIsOneTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"gray.greeter.yaml": "gray: v1\ndefault: v1\nrules:\n- {name: testers, when: {user: ann}, to: v1}\n",
	})
	var seen arrivals
	client := w.greeters(t, &seen, propagator())
	ctx, cancel := context.WithTimeout(lane.WithUser(lane.With(withTenant(t.Context(), t), "blue"), "ann"), 10*time.Second)
	defer cancel()
	_, err := client.Say(ctx, &hello.HelloRequest{})
	require.NoError(t, err)

	require.Len(t, seen.all, 2)
	id := seen.all[0].trace
	assert.Equal(t, []arrival{{"greeter", "v1", "blue", "acme", "blue", id}, {"clerk", "v1", "blue", "acme", "blue", id}}, seen.all)
	clients := w.clientSpans(t, 2)
	require.Len(t, clients, 2)
	w.oneTrace(t, id, clients)
	attrs := ours(clients[0].Attributes())
	assert.Subset(t, attrs, map[string]any{
		"graylane.service": "greeter", "graylane.via": "rule", "graylane.rule": "testers", "graylane.version": "v1",
		"graylane.lane": "blue", "server.address": "127.0.0.1",
	})
	assert.NotContains(t, attrs, "http.request.resend_count")
	assert.Equal(t, "clerk", ours(clients[1].Attributes())["graylane.service"])
}

// An edge drops the lane of who is not trusted; it must not go on as OpenTelemetry's
// baggage, which reads the same header before the edge does.
func TestALaneFromOutsideDoesNotGoOnAsBaggage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var seen arrivals
	w.greeters(t, &seen, propagator(), grpcx.Edge(), grpcx.TrustedPeers())
	outside, err := grpc.NewClient(w.Instances(w.resolver.Service("greeter"))[0].Addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer outside.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "baggage", "tenant=acme,gray-lane=blue")
	_, err = hello.NewHelloClient(outside).Say(ctx, &hello.HelloRequest{})
	require.NoError(t, err)
	require.Len(t, seen.all, 2)
	assert.Empty(t, seen.all[0].lane)
	assert.Empty(t, seen.all[1].lane)
	assert.Empty(t, seen.all[1].header)
	assert.Equal(t, "acme", seen.all[1].tenant)
}

func TestBaggageOfALaneThatChanges(t *testing.T) {
	t.Parallel()
	in := propagation.HeaderCarrier(http.Header{"Baggage": {"tenant=acme,gray-lane=blue;p=1", "other=x"}})
	ctx := otelx.Baggage{}.Extract(t.Context(), in)
	assert.Equal(t, 2, baggage.FromContext(ctx).Len())
	for want, c := range map[string]struct {
		lane   string
		header http.Header
	}{
		"green": {"green", http.Header{}},
		"red":   {"green", http.Header{"X-Gray-Lane": {"red"}}},
		"":      {"", http.Header{"X-Gray-Lane": {"no name"}}},
	} {
		otelx.Baggage{}.Inject(lane.With(ctx, c.lane), propagation.HeaderCarrier(c.header))
		assert.Equal(t, want, lane.BaggageLane(c.header["Baggage"]))
		b, err := baggage.Parse(c.header.Get("Baggage"))
		require.NoError(t, err)
		assert.Equal(t, "acme", b.Member("tenant").Value())
		assert.Equal(t, "x", b.Member("other").Value())
	}
	header := http.Header{"Baggage": {"gray-lane=blue"}}
	otelx.Baggage{}.Inject(t.Context(), propagation.HeaderCarrier(header))
	assert.Equal(t, []string{"gray-lane=blue"}, header["Baggage"], "without baggage of its own it leaves what is there")
	assert.Equal(t, []string{"baggage"}, otelx.Baggage{}.Fields())
}
