package balancer

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// cursor is the rotation of one subset: a Weyl sequence by the golden ratio,
// whose every stretch is spread evenly over the circle of 2^64 points (Kuipers
// and Niederreiter, Uniform Distribution of Sequences, 1974). It holds no
// reference to weights or members, so it survives every update, and it moves
// only when its own subset is picked from: two subsets that shared one would
// starve each other's instances.
//
// Cores do not share it pick by pick: each takes a run of the sequence and uses it
// up alone. What all of them have used is the whole sequence but for the ends of
// their runs. On two cores the error of a share is that of one sequence; with a
// sequence for each core the errors would add up.
//
// How a core finds its run is in cores_pool.go, with the standard library alone, and
// in cores_pinned.go, which is quicker and takes the build tag graylane_pinned.
type cursor struct {
	next atomic.Uint64
	_    [64 - 8]byte // nothing else is on the line that is written
	cores
}

const (
	// golden is 2^64 divided by the golden ratio, made odd.
	golden uint64 = 0x9E3779B97F4A7C15
	// runStep is the length of a run, around the circle.
	runStep = 0x9E3779B97F4A7C15 * runLength & math.MaxUint64
)

// run is a stretch of a cursor's sequence that one core uses up alone.
type run struct {
	at   uint64 // the point before the next
	left int    // how many are left
}

// newCursor starts at a random point, so that consumers started together do not
// send their first requests to the same instance. Index is its place among the
// cursors of a director.
func newCursor(index int) *cursor {
	c := &cursor{cores: newCores(index)}
	c.next.Store(rand.Uint64())
	return c
}

// step returns the next point of a run, which begins anew if it is used up.
func (c *cursor) step(mine *run) uint64 {
	if mine.left == 0 {
		mine.at, mine.left = c.next.Add(runStep)-runStep, runLength
	}
	mine.left--
	mine.at += golden
	return mine.at
}
