package telemetry_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/otelx"
	"github.com/graylane/graylane/telemetry/promx"
	"github.com/graylane/graylane/telemetry/zapx"
)

// nowhere is where the benchmarks' log lines go, once they are encoded.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Sync() error                 { return nil }

// everything are the hooks of all three packages; one request of 1000 is logged.
func everything() []resolver.Hooks {
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), nowhere{}, zap.InfoLevel))
	return []resolver.Hooks{promx.New().Hooks(), zapx.Hooks(logger), zapx.Decisions(logger, 1000), otelx.Hooks()}
}

// opened returns a view of a service of ten instances that a rule sends requests to.
func opened(tb testing.TB, hooks []resolver.Hooks) *resolver.View {
	tb.Helper()
	reg := memory.New()
	list := make([]registry.Instance, 10)
	for i := range list {
		list[i] = registry.NewInstance("10.0.0." + string(rune('0'+i)) + ":80")
		list[i].Metadata = map[string]string{registry.KeyVersion: "v" + string(rune('1'+i%2))}
	}
	opts := []resolver.Option{resolver.WithSlowStart(0)}
	for _, h := range hooks {
		opts = append(opts, resolver.WithHooks(h))
	}
	r, err := resolver.New(reg, configmemory.New(map[string]string{
		"gray.user.yaml": "gray: v1\ndefault: v1\nrules:\n- {name: asked, by: header.x-gray-version}\n",
	}), opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.Close()) })
	reg.Set(r.Service("user"), list...)
	v, err := r.View(r.Service("user"), "http")
	require.NoError(tb, err)
	tb.Cleanup(v.Close)
	require.NoError(tb, v.Ready(tb.Context()))
	return v
}

// once makes a request, without a network.
func once(ctx context.Context, tb testing.TB, v *resolver.View, r config.Request) {
	tb.Helper()
	c, err := v.Pick(ctx, r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	c.Done(ctx, resolver.Outcome{Status: 200})
}

// tracer is that of a real SDK, whose spans go nowhere.
func tracer(sampler sdktrace.Sampler) trace.Tracer {
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler)).Tracer("test")
}

// BenchmarkRequest is all that graylane does for a request: without hooks, and with them;
// under a span that does not record, and with one that does for each request.
func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct {
		name      string
		hooks     []resolver.Hooks
		recording bool
	}{
		{"no hooks", nil, false},
		{"promx", everything()[:1], false},
		{"all hooks", everything(), false},
		{"no hooks, recording", nil, true},
		{"all hooks, recording", everything(), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := opened(b, c.hooks)
			var r config.Request = request{"v2"}
			ctx, s := tracer(sdktrace.NeverSample()).Start(b.Context(), "request")
			defer s.End()
			recording := tracer(sdktrace.AlwaysSample())
			b.ReportAllocs()
			for b.Loop() {
				if !c.recording {
					once(ctx, b, v, r)
					continue
				}
				ctx, s := recording.Start(ctx, "call")
				once(ctx, b, v, r)
				s.End()
			}
		})
	}
}

// TestHooksHardlyAllocate: what a request allocates with all hooks, beyond what it does
// without; the lines of one in 1000 are no whole allocation of each.
func TestHooksHardlyAllocate(t *testing.T) {
	v, bare := opened(t, everything()), opened(t, nil)
	ctx, s := tracer(sdktrace.NeverSample()).Start(t.Context(), "request")
	defer s.End()
	r := config.Request(request{"v2"})
	without := testing.AllocsPerRun(2000, func() { once(ctx, t, bare, r) })
	assert.LessOrEqual(t, testing.AllocsPerRun(2000, func() { once(ctx, t, v, r) }), without+1)
}
