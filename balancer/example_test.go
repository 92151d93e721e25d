package balancer_test

import (
	"fmt"
	"net/http"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// anybody is a request that says nothing of itself.
type anybody struct{}

func (anybody) Header(config.HeaderName) (string, bool) { return "", false }
func (anybody) Cookie(string) (string, bool)            { return "", false }
func (anybody) Query(string) (string, bool)             { return "", false }
func (anybody) Path() string                            { return "/" }
func (anybody) Method() string                          { return http.MethodGet }
func (anybody) User() string                            { return "" }
func (anybody) Lane() string                            { return "" }

func ExampleBuild() {
	rules, problems := config.ParseRules("gray.order.yaml", "order", []byte(`
gray: v1
default: v1
rules:
- {name: everybody, to: v2}
`))
	if err := problems.Err(); err != nil {
		fmt.Println(err)
		return
	}
	var list []registry.Instance
	for version, addr := range map[string]string{"v1": "10.0.0.1:8080", "v2": "10.0.0.2:8080"} {
		in := registry.NewInstance(addr)
		in.Metadata = map[string]string{registry.KeyVersion: version}
		list = append(list, in)
	}
	snap := registry.NewSnapshot(registry.Service{Name: "order"}, 1, list)

	d := balancer.Build(rules, nil, snap, balancer.Options{}, nil)
	decision, err := d.Decide(anybody{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, endpoint := d.Pick(&decision, balancer.Pick{})
	fmt.Printf("rule %q, target %s: %s\n", decision.Rule, decision.Target, endpoint.Addr())
	// Output: rule "everybody", target v2: 10.0.0.2:8080
}
