package graylane_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/nacostest"
)

// A provider and a consumer, here over an embedded Nacos.
func ExampleOpen() {
	nacos, err := nacostest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nacos.Close()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()

	provider, err := graylane.Open(ctx, graylane.WithServers(nacos.Addr()), graylane.WithVersion("v1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer provider.Close()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	serving, leave := context.WithCancel(ctx)
	served := make(chan error)
	go func() { served <- httpx.Serve(serving, provider, "user", "127.0.0.1:0", hello, httpx.WithLinger(-1)) }()
	defer func() { leave(); <-served }()
	if _, err := nacos.AwaitInstances(ctx, provider.Resolver().Service("user"), 1); err != nil {
		fmt.Println(err)
		return
	}

	consumer, err := graylane.Open(ctx, graylane.WithServers(nacos.Addr()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer consumer.Close()
	client := httpx.NewClient(consumer.Resolver())
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://user/hello", http.NoBody)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s from %s\n", body, resp.Header.Get(httpx.VersionHeader))
	// Output: hello from v1
}
