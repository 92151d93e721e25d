package nacos_test

import (
	"context"
	"fmt"
	"time"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	registrynacos "github.com/graylane/graylane/registry/nacos"
)

func ExampleNew() {
	srv, err := nacostest.Start() // stands in for a Nacos at 127.0.0.1:8848
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	client, err := registrynacos.New(registrynacos.Config{Servers: []string{srv.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	in := registry.NewInstance("10.0.0.1:8081")
	in.Metadata = map[string]string{registry.KeyVersion: "v2"}
	r, err := client.Register(ctx, registry.Service{Name: "user"}, in)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := r.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}
	err = client.Watch(ctx, registry.Service{Name: "user"}, func(u registry.Update) {
		for i := range u.Instances {
			fmt.Println(u.Instances[i].ID, u.Instances[i].Version())
			cancel()
		}
	})
	fmt.Println(err)
	// Output:
	// 10.0.0.1:8081#DEFAULT v2
	// context canceled
}
