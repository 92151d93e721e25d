package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx/debug"
	"github.com/graylane/graylane/telemetry/promx"
)

// admin is what a process shows of itself: /metrics to Prometheus, /debug/graylane/
// to people.
type admin struct {
	addr    string
	metrics *promx.Metrics
	page    *debug.Page
	client  *graylane.Client // set before serve
}

func newAdmin() *admin {
	a := &admin{addr: os.Getenv("ADMIN_ADDR"), metrics: promx.New()}
	opts := []debug.Option{debug.WithSettings(func() []debug.Setting { return a.client.Settings() })}
	if strings.HasPrefix(a.addr, ":") {
		// In a container whoever asks comes from another machine. docker-compose.yml
		// publishes the port on 127.0.0.1 alone; elsewhere, protect it.
		opts = append(opts, debug.WithRemote())
	}
	a.page = debug.New(opts...)
	return a
}

// serve listens, and serves until stop.
func (a *admin) serve(ctx context.Context) (stop func(), err error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(a.metrics); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/debug/graylane/", a.page)
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", a.addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(ln) }()
	return func() { _ = server.Close() }, nil
}
