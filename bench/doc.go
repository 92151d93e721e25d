// Package bench answers one question: is graylane's picker faster, and more exact,
// than what else one would pick?
//
// It has no code of its own, only tests and benchmarks of graylane beside its
// peers, each at a pinned version. `go run ./cmd/table` runs all of them and writes
// the page; README.md says how each peer is driven.
package bench
