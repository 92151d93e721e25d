package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strings"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx"
)

// runGateway is the way in, until ctx ends: /NAME/… goes to the service NAME.
//
// It believes x-gray-lane and x-gray-version of whoever asks, so that you can try
// them with curl.
func runGateway(ctx context.Context, gl *graylane.Client) error {
	services := strings.Split(os.Getenv("SERVICES"), ",")
	transport := httpx.NewTransport(gl.Resolver())
	defer transport.Close()
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			name, path, _ := strings.Cut(strings.TrimPrefix(r.In.URL.Path, "/"), "/")
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = "http", name, "/"+path
		},
	}
	return httpx.Serve(ctx, gl, "gateway", os.Getenv("HTTP_ADDR"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if !slices.Contains(services, name) {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}
