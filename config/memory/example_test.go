package memory_test

import (
	"context"
	"fmt"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
)

func ExampleNew() {
	source := configmemory.New(map[string]string{
		config.ServiceDocID("order"): "gray: v1\ndefault: v1\n",
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_ = source.Watch(ctx, "gray.order.yaml", func(d config.Doc) {
		fmt.Printf("%s", d.Content)
		cancel()
	})
	// Output:
	// gray: v1
	// default: v1
}
