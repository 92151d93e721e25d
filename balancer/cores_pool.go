//go:build !graylane_pinned || race

package balancer

import "sync"

// rotation holds the runs that cores have taken from the cursors of one director,
// and of those that follow it. Its pool gives each core its own, nearly always: who
// loses one to the garbage collector takes new runs.
type rotation struct{ pool sync.Pool }

// cores is a cursor's place in the runs of each core.
type cores struct{ index int }

func newCores(index int) cores { return cores{index} }

// runs are those of one core, by the cursors' index. They are used by one goroutine
// at a time.
type runs struct{ of []owned }

type owned struct {
	run
	by *cursor // whose run it is: an index is used again when a subset has gone
}

// take returns a cursor's next point for this core.
func (r *rotation) take(c *cursor) uint64 {
	all, _ := r.pool.Get().(*runs)
	if all == nil || c.index >= len(all.of) {
		all = all.grown(c.index)
	}
	mine := &all.of[c.index]
	if mine.by != c {
		*mine = owned{by: c}
	}
	point := c.step(&mine.run)
	r.pool.Put(all)
	return point
}

// grown returns runs with room for the cursor of an index.
//
//go:noinline
func (r *runs) grown(index int) *runs {
	if r == nil {
		r = &runs{}
	}
	r.of = append(r.of, make([]owned, max(8, index+1)-len(r.of))...)
	return r
}
