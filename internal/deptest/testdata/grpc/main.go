// Command grpc is a minimal consumer over gRPC: what it links is what a user of
// graylane pays at least.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	gl, err := graylane.Open(ctx)
	if err != nil {
		return err
	}
	defer gl.Close()
	cc, err := grpcx.NewClient(gl.Resolver(), "user", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	_, err = healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}
