// Command http is a minimal consumer over HTTP: what it links is what a user of
// graylane pays at least.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx"
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://user/hello", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := httpx.NewClient(gl.Resolver()).Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
