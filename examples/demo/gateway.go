package main

import (
	"context"
	"os"
	"strings"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx"
)

// runGateway is the way in, until ctx ends: /NAME/… goes to the service NAME.
//
// It believes x-gray-lane and x-gray-version of whoever asks, so that you can try
// them with curl. One that faces the world is an httpx.Edge.
func runGateway(ctx context.Context, gl *graylane.Client) error {
	services := map[string]string{}
	for name := range strings.SplitSeq(os.Getenv("SERVICES"), ",") {
		services["/"+name] = name
	}
	transport := httpx.NewTransport(gl.Resolver())
	defer transport.Close()
	gateway := httpx.NewGateway(transport, httpx.ByPath(services))
	return httpx.Serve(ctx, gl, "gateway", os.Getenv("HTTP_ADDR"), gateway)
}
