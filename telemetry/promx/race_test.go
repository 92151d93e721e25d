//go:build race

package promx_test

// requests is how many hostile requests are sent; with the race detector each takes long.
const requests = 20_000
