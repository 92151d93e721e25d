package httpx_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// exampleProvider starts an instance of "user" and returns how to stop it.
func exampleProvider(reg *memory.Registry, version string) (stop func()) {
	srv := httptest.NewServer(httpx.Handler(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "hello from %s", version)
		}),
		httpx.WithVersion(version),
	))
	in := registry.NewInstance(srv.Listener.Addr().String())
	in.Metadata = map[string]string{registry.KeyVersion: version}
	if _, err := reg.Register(context.Background(), registry.Service{Name: "user"}, in); err != nil {
		panic(err)
	}
	return srv.Close
}

func ExampleNewClient() {
	reg := memory.New() // in production: graylane.Open
	defer exampleProvider(reg, "v1")()
	defer exampleProvider(reg, "v2")()
	r, err := resolver.New(reg, nil)
	if err != nil {
		panic(err)
	}
	defer r.Close()

	client := httpx.NewClient(r)
	defer client.CloseIdleConnections()
	for _, version := range []string{"v1", "v2"} {
		// What the context carries goes along as headers. Without a rule document,
		// x-gray-version names the version.
		ctx := lane.WithHeader(context.Background(), lane.HeaderVersion, version)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://user/hello", http.NoBody)
		if err != nil {
			panic(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%s, says %s\n", body, resp.Header.Get(httpx.VersionHeader))
	}
	// Output:
	// hello from v1, says v1
	// hello from v2, says v2
}

func ExampleNewTransport() {
	reg := memory.New()
	defer exampleProvider(reg, "v1")()
	r, err := resolver.New(reg, nil)
	if err != nil {
		panic(err)
	}
	defer r.Close()

	transport := httpx.NewTransport(r, httpx.WithTransport(&http.Transport{MaxConnsPerHost: 100}))
	defer transport.Close()
	client := &http.Client{Transport: transport}
	resp, err := client.Get("http://user/hello")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

func ExampleHandler() {
	h := httpx.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "lane %s, tenant ", lane.From(r.Context()))
		tenant, _ := lane.Header(r.Context(), "x-tenant")
		fmt.Fprint(w, tenant)
	}), httpx.WithCarried(append(lane.DefaultHeaders(), "x-tenant")...), httpx.WithVersion("v2"))

	req := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	req.Header.Set("X-Gray-Lane", "canary")
	req.Header.Set("X-Tenant", "acme")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	fmt.Println(w.Body)
	fmt.Println(w.Header().Get("X-App-Version"))
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
	reg := memory.New()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- httpx.ServeListener(ctx, reg, "user", ln, http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		), httpx.WithLinger(-1))
	}()

	resp, err := http.Get("http://" + ln.Addr().String() + "/")
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	fmt.Println(string(body), <-ended)
	// Output: hello <nil>
}
