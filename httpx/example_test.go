package httpx_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// exampleProvider starts an instance of "user" and returns how to stop it.
func exampleProvider(version string) (in registry.Instance, stop func()) {
	srv := httptest.NewServer(httpx.Handler(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "hello from %s", version)
		}),
		httpx.WithVersion(version),
	))
	in = registry.NewInstance(srv.Listener.Addr().String())
	in.Metadata = map[string]string{registry.KeyVersion: version}
	return in, srv.Close
}

// exampleGet sends a request and returns the answer.
func exampleGet(ctx context.Context, client *http.Client, target string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func ExampleNewClient() {
	v1, stop1 := exampleProvider("v1")
	defer stop1()
	v2, stop2 := exampleProvider("v2")
	defer stop2()
	reg := memory.New() // in production: graylane.Open
	reg.Set(registry.Service{Name: "user"}, v1, v2)
	r, err := resolver.New(reg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = r.Close() }()

	client := httpx.NewClient(r)
	defer client.CloseIdleConnections()
	for _, version := range []string{"v1", "v2"} {
		// What the context carries goes along as headers. Without a rule document,
		// x-gray-version names the version.
		ctx := lane.WithHeader(context.Background(), lane.HeaderVersion, version)
		fmt.Println(exampleGet(ctx, client, "http://user/hello"))
	}
	// Output:
	// hello from v1
	// hello from v2
}

func ExampleNewTransport() {
	in, stop := exampleProvider("v1")
	defer stop()
	reg := memory.New()
	reg.Set(registry.Service{Name: "user"}, in)
	r, err := resolver.New(reg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = r.Close() }()

	transport := httpx.NewTransport(r, httpx.WithTransport(&http.Transport{MaxConnsPerHost: 100}))
	defer transport.Close()
	client := &http.Client{Transport: transport}
	fmt.Println(exampleGet(context.Background(), client, "http://user/hello"))
	// Output: hello from v1
}

func ExampleHandler() {
	h := httpx.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, _ := lane.Header(r.Context(), "x-tenant")
		fmt.Fprintf(w, "lane %s, tenant %s", lane.From(r.Context()), tenant)
	}), httpx.WithCarried(append(lane.DefaultHeaders(), "x-tenant")...), httpx.WithVersion("v2"))

	req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
	req.Header.Set("X-Gray-Lane", "canary")
	req.Header.Set("X-Tenant", "acme")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	fmt.Println(w.Body)
	fmt.Println(w.Header().Get(httpx.VersionHeader))
	// Output:
	// lane canary, tenant acme
	// v2
}

func ExampleServe() {
	reg := memory.New() // in production: graylane.Open
	ctx, stop := context.WithCancel(context.Background())
	stop() // in production: signal.NotifyContext ends it
	err := httpx.Serve(ctx, reg, "user", "127.0.0.1:0", http.NotFoundHandler(), httpx.WithLinger(-1))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleServeListener() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	reg := memory.New()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() {
		ended <- httpx.ServeListener(ctx, reg, "user", ln, http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		), httpx.WithLinger(-1))
	}()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	fmt.Println(exampleGet(ctx, client, "http://"+ln.Addr().String()))
	stop()
	fmt.Println(<-ended)
	// Output:
	// hello
	// <nil>
}

func ExampleNewGateway() {
	in, stop := exampleProvider("v1")
	defer stop()
	reg := memory.New()
	reg.Set(registry.Service{Name: "user"}, in)
	r, err := resolver.New(reg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = r.Close() }()
	transport := httpx.NewTransport(r)
	defer transport.Close()

	// Callers from outside may name a version, for tests, but no lane.
	route := httpx.ByPath(map[string]string{"/api/user": "user"})
	gateway := httpx.NewGateway(transport, route, httpx.Edge(lane.HeaderVersion))

	front := httptest.NewServer(gateway) // or httpx.Serve, to announce it
	defer front.Close()
	fmt.Println(exampleGet(context.Background(), front.Client(), front.URL+"/api/user/hello"))
	fmt.Print(exampleGet(context.Background(), front.Client(), front.URL+"/other"))
	// Output:
	// hello from v1
	// no route
}

func ExampleByHost() {
	route := httpx.ByHost(map[string]string{"user.example.com": "user"})
	req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://user.example.com/hello?x=1", http.NoBody)
	fmt.Println(route(req))
	// Output: http://user/hello?x=1
}

func ExampleByPath() {
	route := httpx.ByPath(map[string]string{"/user": "user", "/": "web"})
	for _, path := range []string{"/user/hello", "/index.html"} {
		fmt.Println(route(httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, http.NoBody)))
	}
	// Output:
	// http://user/hello
	// http://web/index.html
}

func ExampleRoute() {
	byPath := httpx.ByPath(map[string]string{"/user": "user"})
	route := func(r *http.Request) *url.URL {
		to := byPath(r)
		if to != nil {
			to.Scheme = "h2c"                               // the services speak HTTP/2
			to.Path, to.RawPath = r.URL.Path, r.URL.RawPath // and want the whole path
		}
		return to
	}
	fmt.Println(route(httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/user/hello", http.NoBody)))
	// Output: h2c://user/user/hello
}
