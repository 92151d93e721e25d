package debug_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/graylane/graylane/httpx/debug"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// The page is there before the resolver that it shows, which has its hooks. In
// production graylane.Open takes them, with graylane.WithHooks.
func ExampleNew() {
	page := debug.New(debug.WithSettings(func() []debug.Setting {
		return []debug.Setting{{Name: "servers", Value: "127.0.0.1:8848", From: "NACOS_ADDR"}}
	}))
	r, err := resolver.New(memory.New(), nil, resolver.WithHooks(page.Hooks()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/graylane/", page)
	server := httptest.NewServer(mux)
	defer server.Close()

	resp, err := http.Get(server.URL + "/debug/graylane/settings?format=json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var answer [1 << 10]byte
	n, _ := resp.Body.Read(answer[:])
	fmt.Print(resp.Status, "\n", string(answer[:n]))
	// Output:
	// 200 OK
	// {"known":true,"settings":[{"name":"servers","value":"127.0.0.1:8848","from":"NACOS_ADDR"}]}
}
