package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Nothing that a request does to pick allocates.
func TestPicksAllocateNothing(t *testing.T) {
	in := versions(mixed(1000), 10)
	all := mixed(1000)
	byKeys := func(pick func(int)) func() {
		i := 0
		return func() {
			pick(i & (hotKeys - 1))
			i++
		}
	}
	for name, pick := range map[string]func(){
		"weighted":                oursWeighted(t, all).pick,
		"weighted through a view": oursView(t, all).pick,
		"hash":                    byKeys(oursHash(t, all).pick),
		"hash with the decision":  byKeys(oursDecideHash(t, all).pick),
		"hash in flight":          byKeys(oursHashDone(t, all).pick),
		"least":                   oursLeast(t, all).pick,
		"least with a clock":      oursLeastClock(t, all).pick,
		"ten rules and a subset":  byKeys(oursFilter(t, in).pick),
		"the same through a view": byKeys(oursViewFilter(t, in).pick),
	} {
		// AllocsPerRun averages in whole numbers, so that the garbage collector
		// emptying a pool now and then is none.
		assert.Zero(t, testing.AllocsPerRun(1000, pick), name)
	}
}
