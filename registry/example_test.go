package registry_test

import (
	"fmt"

	"github.com/graylane/graylane/registry"
)

func ExampleNewInstance() {
	in := registry.NewInstance("10.0.0.1:8080")
	in.Metadata = map[string]string{registry.KeyVersion: "v2"}
	fmt.Println(in.ID, in.Version(), in.Weight)
	// Output: 10.0.0.1:8080#DEFAULT v2 1000
}

func ExampleNewSnapshot() {
	snap := registry.NewSnapshot(registry.Service{Name: "order"}, 1, []registry.Instance{
		registry.NewInstance("10.0.0.2:8080"),
		registry.NewInstance("10.0.0.1:8080"),
	})
	for i, in := range snap.All() {
		fmt.Println(i, in.Addr)
	}
	// Output:
	// 0 10.0.0.1:8080
	// 1 10.0.0.2:8080
}
