package nacos_test

import (
	"context"
	"fmt"
	"time"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/nacostest"
)

func ExampleNew() {
	srv, err := nacostest.Start() // stands in for a Nacos at 127.0.0.1:8848
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	client, err := confignacos.New(confignacos.Config{Servers: []string{srv.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	doc := config.ServiceDocID("user")
	if err := client.Publish(ctx, doc, []byte("gray: v1\nservice: user\n"), ""); err != nil {
		fmt.Println(err)
		return
	}
	err = client.Watch(ctx, doc, func(d config.Doc) {
		fmt.Printf("%s", d.Content)
		cancel()
	})
	fmt.Println(err)
	// Output:
	// gray: v1
	// service: user
	// context canceled
}
