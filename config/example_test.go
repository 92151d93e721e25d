package config_test

import (
	"fmt"

	"github.com/graylane/graylane/config"
)

func ExampleNewDoc() {
	doc := config.NewDoc([]byte("gray: v1\ndefault: v1\n"))
	fmt.Println(doc.MD5)
	// Output: 703d80d9fa124c0f3805105768f0060f
}

func ExampleNewHeaderName() {
	name := config.NewHeaderName("X-GRAY-version")
	fmt.Println(name.Canonical, name.Lower)
	// Output: X-Gray-Version x-gray-version
}
