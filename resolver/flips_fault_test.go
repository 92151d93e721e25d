package resolver

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// TestTheLastOfManyFlipsWins: 20 documents within 100 ms, under 2,000 requests a second.
func TestTheLastOfManyFlipsWins(t *testing.T) { // F38
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		var published []string // revisions
		flip := func() {
			text := toV1
			if len(published)%2 == 1 {
				text = toV2
			}
			published = append(published, src.say(fmt.Sprintf("%s# %d\n", text, len(published))))
		}
		flip()
		r, v := open(t, reg, src)
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		before := runtime.NumGoroutine()
		newest := 0
		for i := range 4000 { // 2 s
			if i < 200 && i%10 == 0 {
				flip()
			}
			c, err := v.Pick(t.Context(), request{}, nil)
			require.NoError(t, err)
			c.Done(t.Context(), Outcome{})
			at := slices.Index(published, c.State.Revision())
			require.GreaterOrEqual(t, at, newest, "no revision comes back")
			newest = at
			require.Equal(t, []string{"v1", "v2"}[at%2], c.Instance().Version(), "each request obeys one revision")
			time.Sleep(500 * time.Microsecond) //nolint:forbidigo // fake time
		}
		assert.Len(t, published, 21)
		assert.Equal(t, 20, newest)
		assert.LessOrEqual(t, runtime.NumGoroutine(), before)
	})
}

// TestTenThousandInstancesChangeUnderPicks: a tenth of them at a time.
func TestTenThousandInstancesChangeUnderPicks(t *testing.T) { // F41
	const instances, changed, rounds = 10_000, 1_000, 6
	reg := memory.New()
	list := make([]registry.Instance, instances)
	for i := range list {
		list[i] = instance(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), "v1")
	}
	reg.Set(order, list...)
	r, v := open(t, reg, nil, WithSlowStart(0))
	defer r.Close()
	require.NoError(t, v.Ready(t.Context()))
	before := runtime.NumGoroutine()
	one := func() error {
		c, err := v.Pick(t.Context(), request{}, nil)
		if err == nil {
			c.Done(t.Context(), Outcome{})
		}
		return err
	}
	for round := range rounds {
		for i := range changed {
			list[(round*changed+i)%instances] = instance(fmt.Sprintf("10.1.%d.%d:%d", i/250, i%250, round+1), "v1")
		}
		reg.Set(order, list...)
		wanted := fmt.Sprintf("10.1.0.0:%d", round+1)
		late := time.Now().Add(10 * time.Second)
		for has := false; !has; {
			require.NoError(t, one())
			require.True(t, time.Now().Before(late), "the list is never in force")
			s := v.State().Snapshot
			for _, in := range s.All() {
				has = has || in.Addr == wanted
			}
			assert.Equal(t, instances, s.Len())
		}
		// The whole process is measured: what put the list in force may still tidy up, and
		// under the race detector pools forget. One allocation a pick is seen.
		allocs := 1.0
		for range 10 {
			if allocs = testing.AllocsPerRun(1000, func() {
				if err := one(); err != nil {
					t.Error(err)
				}
			}); allocs == 0 {
				break
			}
		}
		assert.Zero(t, allocs)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}
