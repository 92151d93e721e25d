//go:build graylane_pinned && !race

package balancer

import (
	"runtime"
	_ "unsafe" // for go:linkname
)

// The runtime keeps both for those who link to them by name, sync.Pool's way to know
// its core; it does not promise them. While a goroutine is pinned it is not
// interrupted: what it uses of its core, it uses alone.

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// rotation has nothing to hold: each cursor has its runs.
type rotation struct{}

// cores are the runs of a cursor, one for each core, on lines of their own.
type cores struct {
	index int
	runs  []pinned
}

type pinned struct {
	run
	_ [64 - 16]byte
}

func newCores(index int) cores {
	return cores{index, make([]pinned, runtime.GOMAXPROCS(0))}
}

// take returns a cursor's next point for this core. Cores that came later take point
// by point.
func (*rotation) take(c *cursor) uint64 {
	core := procPin()
	if core >= len(c.runs) {
		procUnpin()
		return c.next.Add(golden)
	}
	point := c.step(&c.runs[core].run)
	procUnpin()
	return point
}
