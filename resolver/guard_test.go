package resolver

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/registry/memory"
)

const guarded = `
gray: v1
default: v1
rules:
- {name: fifth, to: {v2: 20%}}
guard: {errors: 20%, over: 3s, min: 20, hold: 10s}
`

// consumer is one process of many: a resolver of its own.
type consumer struct {
	view   *View
	events []Event
}

func consumers(t *testing.T, n int, reg *memory.Registry, src *source) []*consumer {
	t.Helper()
	all := make([]*consumer, n)
	for i := range all {
		c := &consumer{}
		var r *Resolver
		r, c.view = open(t, reg, src, WithHooks(Hooks{OnEvent: func(e Event) { c.events = append(c.events, e) }}))
		t.Cleanup(func() { assert.NoError(t, r.Close()) })
		require.NoError(t, c.view.Ready(t.Context()))
		all[i] = c
	}
	return all
}

// TestAFailingTargetIsWithdrawnAndReturns: v2 has a fifth of the requests of twenty
// consumers and begins to answer 503 to half of its own.
func TestAFailingTargetIsWithdrawnAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rate = 20, 100 // a second, of each
		reg, src := memory.New(), newSource()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v1"),
			instance("10.0.1.1:1", "v2"), instance("10.0.1.2:1", "v2"))
		src.say(guarded)
		all := consumers(t, n, reg, src)
		failing, wrong := false, 0
		// run sends requests for a time, and returns the share of v2 in its last second.
		run := func(d time.Duration) float64 {
			v2, requests := 0, 0
			for ms := range int(d/time.Millisecond) / (1000 / rate) {
				last := time.Duration(ms)*time.Second/rate >= d-time.Second
				for _, c := range all {
					call, err := c.view.Pick(t.Context(), request{}, nil)
					require.NoError(t, err)
					version := call.Instance().Version()
					if version != call.Decision.Target && call.Decision.Fallback == balancer.NoFallback {
						wrong++
					}
					o := Outcome{Status: 200}
					if version == "v2" {
						if last {
							v2++
						}
						if failing && (ms+v2)%2 == 0 {
							o.Status = 503
						}
					}
					if last {
						requests++
					}
					call.Done(t.Context(), o)
				}
				time.Sleep(time.Second / rate) //nolint:forbidigo // fake time
			}
			return float64(v2) / float64(requests)
		}
		assert.InDelta(t, 0.20, run(10*time.Second), 0.005)
		failing = true
		withdrawn := run(5 * time.Second)
		assert.Less(t, withdrawn, 0.01, "its share is back at the default within 5 s")
		for _, c := range all {
			require.Equal(t, []string{"v2"}, c.view.Withdrawn())
			ofTarget := slices.DeleteFunc(slices.Clone(c.events), func(e Event) bool { return e.Target == "" })
			e := ofTarget[len(ofTarget)-1]
			assert.Equal(t, TargetWithdrawn, e.Kind)
			assert.Equal(t, "v2", e.Target)
			require.ErrorContains(t, e.Err, "503")
		}
		tried := run(20 * time.Second)
		assert.Less(t, tried, 0.01, "it is tried by single requests, and stays away")
		failing = false
		returned := run(60 * time.Second)
		assert.InDelta(t, 0.20, returned, 0.005)
		for _, c := range all {
			ofTarget := slices.DeleteFunc(slices.Clone(c.events), func(e Event) bool { return e.Target == "" })
			assert.Equal(t, TargetReturned, ofTarget[len(ofTarget)-1].Kind)
		}
		assert.Zero(t, wrong)
		t.Logf("FIGURE guard: v2 at 20 %%, half of it failing: %.2f %% after 5 s, %.2f %% after 25 s; %.1f %% within 60 s of its recovery; %d consumers, %d wrong",
			100*withdrawn, 100*tried, 100*returned, n, wrong)
	})
}

func TestTheGuardLeavesStrictRulesLanesAndTheDefaultAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		lane := instance("10.0.2.1:1", "v3")
		lane.Metadata["lane"] = "blue"
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.1.1:1", "v2"), lane)
		src.say(`
gray: v1
default: v1
rules:
- {name: strict, when: {header.x-gray-version: strict}, to: v2, missing: fail}
- {name: soft, when: {header.x-gray-version: soft}, to: v2}
guard: {failures: 3, hold: 1m}
`)
		c := consumers(t, 1, reg, src)[0]
		version := func(r request, o Outcome) string {
			call, err := c.view.Pick(t.Context(), r, nil)
			require.NoError(t, err)
			call.Done(t.Context(), o)
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // fake time
			return call.Instance().Version()
		}
		bad, good := Outcome{Status: 503}, Outcome{Status: 200}
		for range 10 {
			version(request{}, bad)
			version(request{lane: "blue"}, bad)
		}
		require.Equal(t, "v1", version(request{}, good))
		require.Equal(t, "v3", version(request{lane: "blue"}, good))
		for range 3 {
			require.Equal(t, "v2", version(request{version: "soft"}, bad))
		}
		assert.Equal(t, "v1", version(request{version: "soft"}, good), "withdrawn")
		assert.Equal(t, "v2", version(request{version: "strict"}, good), "never")
		src.say("gray: v1\ndefault: v1\nrules: [{name: soft, when: {header.x-gray-version: soft}, to: v2}]\n")
		synctest.Wait()
		assert.Equal(t, "v2", version(request{version: "soft"}, good), "no guard, no withdrawal")
	})
}
