// Demo is every process of docker-compose.yml, configured by its environment
// alone:
//
//	ROLE=service  SERVICE_NAME, NEXT            a service that asks the next one
//	ROLE=gateway  SERVICES                      the way in: /NAME goes to service NAME
//	ROLE=load     TARGET, RATE, REPORT_EVERY    steady traffic; prints who answered
//
// Servers listen at HTTP_ADDR and GRPC_ADDR, and show what they know at ADMIN_ADDR:
// /metrics and /debug/graylane/. SERVICE_LANE puts an instance into a lane. What
// graylane itself reads (NACOS_ADDR, SERVICE_VERSION, …) is in its documentation.
//
//	demo -healthcheck    asks the process of this environment whether it is ready
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx"
)

func main() {
	log.SetFlags(0)
	health := flag.Bool("healthcheck", false, "ask whether the process of this environment is ready")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	role := run
	if *health {
		role = healthcheck
	}
	err := role(ctx, os.Getenv("ROLE"))
	stop()
	if err != nil {
		log.Fatal("demo: ", err)
	}
}

func run(ctx context.Context, role string) error {
	switch role {
	case "service":
		return withClient(ctx, runService)
	case "gateway":
		return withClient(ctx, runGateway)
	case "load":
		return runLoad(ctx, os.Stdout)
	default:
		return fmt.Errorf("ROLE=%q: want service, gateway or load", role)
	}
}

// withClient opens graylane for a role, and closes it after the role's servers.
func withClient(ctx context.Context, role func(context.Context, *graylane.Client) error) error {
	logger, err := zap.NewProduction(zap.WithCaller(false))
	if err != nil {
		return err
	}
	eyes := newAdmin()
	gl, err := graylane.Open(ctx, graylane.WithLogger(logger),
		graylane.WithHooks(eyes.metrics.Hooks()), graylane.WithHooks(eyes.page.Hooks()),
		graylane.WithLabels(map[string]string{"lane": os.Getenv("SERVICE_LANE")})) // an empty label is none
	if err != nil {
		return err
	}
	defer gl.Close()
	eyes.client = gl
	stop, err := eyes.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return role(ctx, gl)
}

// healthcheck is for a container that has neither a shell nor curl.
func healthcheck(ctx context.Context, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, port, err := net.SplitHostPort(os.Getenv("HTTP_ADDR"))
	if err != nil {
		return fmt.Errorf("HTTP_ADDR: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+httpx.HealthPath, http.NoBody) //nolint:gosec // the process's own port
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) //nolint:gosec // as above
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
