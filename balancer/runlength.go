//go:build !race

package balancer

// runLength is how many points a core takes at once. With 16 the counter that all
// share is touched seldom enough, and the worst error of a share is still that of
// one sequence.
const runLength = 16
