package telemetry_test

import (
	"context"
	"net/http"
	"os"
	"os/signal"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/otelx"
	"github.com/graylane/graylane/telemetry/promx"
	"github.com/graylane/graylane/telemetry/zapx"
)

// What docs/telemetry.md shows stands below: TestThePagesProgramsCompile.

// serve is the application.
func serve(ctx context.Context, client *http.Client, conn *grpc.ClientConn) error {
	<-ctx.Done()
	client.CloseIdleConnections()
	return conn.Close()
}

func run(ctx context.Context, logger *zap.Logger) error {
	metrics := promx.New()
	prometheus.MustRegister(metrics)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, otelx.Baggage{}))
	gl, err := graylane.Open(ctx, graylane.WithLogger(logger), // new states, refused documents, ejections
		graylane.WithHooks(zapx.Decisions(logger, 1000)), // one request of 1000, and all that goes wrong
		graylane.WithHooks(metrics.Hooks()), graylane.WithHooks(otelx.Hooks()))
	if err != nil {
		return err
	}
	defer gl.Close()
	client := &http.Client{Transport: otelhttp.NewTransport(httpx.NewTransport(gl.Resolver()))}
	conn, err := grpcx.NewClient(gl.Resolver(), "stock", grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	http.Handle("/metrics", promhttp.Handler())
	if err != nil {
		return err
	}
	return serve(ctx, client, conn)
}

func requestID(context.Context) string { return "" }

func identified(logger *zap.Logger) resolver.Hooks {
	return zapx.Decisions(logger, 1000, zapx.WithContext(func(ctx context.Context) []zap.Field {
		return []zap.Field{
			zap.String("request_id", requestID(ctx)),
			zap.Stringer("trace_id", trace.SpanContextFromContext(ctx).TraceID()),
		}
	}))
}

// Metrics, spans and log lines of one process. It is not run: it changes what is global.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	logger := zap.Must(zap.NewProduction())
	if err := run(ctx, logger); err != nil {
		logger.Error("ended", zap.Error(err))
	}
	_ = identified(logger)
}
