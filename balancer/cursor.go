package balancer

import (
	"math"
	"math/rand/v2"
	"sync"
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
type cursor struct {
	index int // its place in the runs of the rotation
	next  atomic.Uint64
	_     [64 - 16]byte // nothing else is on the line that is written
}

const (
	// golden is 2^64 divided by the golden ratio, made odd.
	golden uint64 = 0x9E3779B97F4A7C15
	// runStep is the length of a run, around the circle.
	runStep = 0x9E3779B97F4A7C15 * runLength & math.MaxUint64
)

// newCursor starts at a random point, so that consumers started together do not
// send their first requests to the same instance.
func newCursor(index int) *cursor {
	c := &cursor{index: index}
	c.next.Store(rand.Uint64())
	return c
}

// rotation holds the runs that cores have taken from the cursors of one director,
// and of those that follow it. Its pool gives each core its own, nearly always: who
// loses one to the garbage collector takes new runs.
type rotation struct{ pool sync.Pool }

// runs are those of one core, by the cursors' index. They are used by one goroutine
// at a time.
type runs struct{ of []run }

type run struct {
	of   *cursor // whose run it is: an index is used again when a subset has gone
	at   uint64  // the point before the next
	left int     // how many are left
}

// take returns a cursor's next point for this core.
func (r *rotation) take(c *cursor) uint64 {
	mine := r.mine(c)
	point := mine.next(c)
	r.pool.Put(mine)
	return point
}

// mine takes this core's runs out of the pool, with room for the cursor.
func (r *rotation) mine(c *cursor) *runs {
	mine, _ := r.pool.Get().(*runs)
	if mine == nil || c.index >= len(mine.of) {
		mine = mine.grown(c.index)
	}
	return mine
}

func (r *runs) next(c *cursor) uint64 {
	mine := &r.of[c.index]
	if mine.left == 0 || mine.of != c {
		mine.of = c
		mine.at, mine.left = c.next.Add(runStep)-runStep, runLength
	}
	mine.left--
	mine.at += golden
	return mine.at
}

// grown returns runs with room for the cursor of an index.
func (r *runs) grown(index int) *runs {
	if r == nil {
		r = &runs{}
	}
	r.of = append(r.of, make([]run, max(8, index+1)-len(r.of))...)
	return r
}
