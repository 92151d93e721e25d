package grpcx_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/hello"
)

// TestAnInstanceThatComesAndGoesHurtsNobody: one of three is registered and deregistered ten
// times a second.
func TestAnInstanceThatComesAndGoesHurtsNobody(t *testing.T) { // F16
	w := newWorld(t, "gray: v1\ndefault: v1\n")
	a, b, flapping := newProvider(t, "v1"), newProvider(t, "v1"), newProvider(t, "v1")
	w.register(a, b, flapping)
	_, c := w.dial(t)
	warm(t, c, a, b, flapping)
	before := []int64{a.calls.Load(), b.calls.Load()}
	flip, tick := time.NewTicker(50*time.Millisecond), time.NewTicker(time.Millisecond)
	defer flip.Stop()
	defer tick.Stop()
	for there, flips := false, 0; flips < 60; {
		select {
		case <-flip.C:
			if there {
				w.register(a, b, flapping)
			} else {
				w.register(a, b)
			}
			there = !there
			flips++
		case <-tick.C:
			_, err := c.Say(calling(t, ""), &hello.HelloRequest{})
			require.NoError(t, err)
		}
	}
	ofA, ofB := a.calls.Load()-before[0], b.calls.Load()-before[1]
	assert.InEpsilon(t, ofA, ofB, 0.1, "the others share the rest evenly")
	assert.Equal(t, []int64{1, 1}, connections(a, b), "their connections stay")
	t.Logf("FIGURE F16: %d and %d calls to the others, %d to the one that comes and goes; %d connections to it in 30 rounds within 3 s",
		ofA, ofB, flapping.calls.Load(), flapping.opened.Load())
}
