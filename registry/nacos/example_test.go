package nacos_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/nacos"
)

func ExampleNew() {
	srv, err := nacostest.Start() // stands in for a Nacos at 127.0.0.1:8848
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	client, err := nacos.New(nacos.Config{Servers: []string{srv.Addr()}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	in := registry.NewInstance("10.0.0.1:8081")
	in.Metadata = map[string]string{registry.KeyVersion: "v2"}
	r, err := client.Register(ctx, registry.Service{Name: "user"}, in)
	if err != nil {
		log.Fatal(err)
	}
	if err := r.Ready(ctx); err != nil {
		log.Fatal(err)
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
