//go:build race

package balancer

// runLength is 1 under the race detector, where a sync.Pool forgets at random what
// it is given.
const runLength = 1
