package resolver_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// byVersion is a request that asks for a version.
type byVersion string

func (v byVersion) Header(n config.HeaderName) (string, bool) {
	return string(v), n.Lower == "x-gray-version" && v != ""
}
func (byVersion) Cookie(string) (string, bool) { return "", false }
func (byVersion) Query(string) (string, bool)  { return "", false }
func (byVersion) Path() string                 { return "/" }
func (byVersion) Method() string               { return http.MethodGet }
func (byVersion) User() string                 { return "" }
func (byVersion) Lane() string                 { return "" }

// Instances and rules from memory: all that a unit test needs. Give
// the resolver to httpx.NewClient or grpcx.NewClient; here it is asked itself.
func ExampleNew() {
	instances := memory.New()
	for version, addr := range map[string]string{"v1": "10.0.0.1:8080", "v2": "10.0.0.2:8080"} {
		in := registry.NewInstance(addr)
		in.Metadata = map[string]string{registry.KeyVersion: version}
		if _, err := instances.Register(context.Background(), registry.Service{Name: "user"}, in); err != nil {
			fmt.Println(err)
			return
		}
	}
	const doc = "gray: v1\ndefault: v1\nrules:\n- {name: asked-for, by: header.x-gray-version}\n"
	rules := configmemory.New(map[string]string{config.ServiceDocID("user"): doc})

	r, err := resolver.New(instances, rules)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	view, err := r.View(r.Service("user"), "http")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, asks := range []byVersion{"", "v2"} {
		call, err := view.Pick(context.Background(), asks, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q goes to %s: %s, rule %q\n", asks, call.Addr(), call.Decision.Via, call.Decision.Rule)
		call.Done(context.Background(), resolver.Outcome{Status: http.StatusOK})
	}
	// Output:
	// "" goes to 10.0.0.1:8080: default, rule ""
	// "v2" goes to 10.0.0.2:8080: rule, rule "asked-for"
}
