package nacos_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/nacostest"
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
	doc := config.ServiceDocID("user")
	if err := client.Publish(ctx, doc, []byte("gray: v1\nservice: user\n"), ""); err != nil {
		log.Fatal(err)
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
