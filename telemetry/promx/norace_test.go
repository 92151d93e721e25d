//go:build !race

package promx_test

// requests is how many hostile requests are sent.
const requests = 1_000_000
