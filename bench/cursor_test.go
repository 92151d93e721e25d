//go:build !graylane_pinned

package bench

// cursor is how the picker knows its core: by the standard library.
const cursor = ""
