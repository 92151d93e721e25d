package resolver

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/registry/memory"
)

// TestARuleForAVersionThatIsNotThereYetWaitsForIt: until then its requests go to the default.
func TestARuleForAVersionThatIsNotThereYetWaitsForIt(t *testing.T) { // F35
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		src.say("gray: v1\ndefault: v1\nrules:\n- {name: half, to: {v2: 50%}}\n")
		r, v := open(t, reg, src, WithSlowStart(0))
		defer r.Close()
		assert.Equal(t, map[string]int{"10.0.0.1:1": 1000}, shares(t, v, 1000))

		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		synctest.Wait()
		assert.InDelta(t, 500, shares(t, v, 1000)["10.0.0.2:1"], 10, "it is live by itself")

		reg.Set(order, instance("10.0.0.1:1", "v1"))
		synctest.Wait()
		assert.Equal(t, map[string]int{"10.0.0.1:1": 1000}, shares(t, v, 1000), "and off by itself")
	})
}
