package resolver

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry/memory"
)

// TestNoRequestFindsOutThatAnInstanceIsBack: it is connected to, and gets no request
// before somebody listens.
func TestNoRequestFindsOutThatAnInstanceIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(3)...)
		r, v, l, _ := protected(t, reg)
		dead := fleet(3)[0].Addr
		l.stop(dead)
		at := func(d time.Duration) (failed int) {
			for range int(d / (10 * time.Millisecond)) {
				c, err := v.Pick(t.Context(), request{}, nil)
				require.NoError(t, err)
				o := Outcome{Status: 200}
				if l.stopped(c.Addr()) {
					o, failed = refused(), failed+1
				}
				c.Done(t.Context(), o)
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // fake time
			}
			return failed
		}
		assert.Equal(t, 1, at(8*time.Second), "the first")
		l.start(dead)
		assert.Zero(t, at(2*time.Second))
		assert.InDelta(t, 100, shares(t, v, 300)[dead], 3, "it is back within two seconds")
		require.NoError(t, r.Close())
	})
}

func TestWhoIsHeldAndLeavesOrCannotBeReachedIsGoneAtOnce(t *testing.T) {
	for name, o := range map[string]Outcome{"leaves": {Status: 200, Leaving: true}, "refused": refused()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := memory.New()
				reg.Set(order, fleet(5)...)
				r, v, _, events := protected(t, reg)
				one := func(o Outcome, of ...string) {
					c, err := v.Pick(t.Context(), request{}, nil)
					require.NoError(t, err)
					if len(of) > 0 && !slices.Contains(of, c.Addr()) {
						o = Outcome{Status: 200}
					}
					c.Done(t.Context(), o)
					synctest.Wait()
				}
				one(Outcome{Status: 200, Leaving: true})
				assert.Equal(t, 5, v.State().Snapshot.Len(), "who is listed is not the hold's business")

				reg.Set(order, fleet(3)...)
				synctest.Wait()
				require.Equal(t, 2, v.State().Held)
				for range 20 {
					one(o, fleet(5)[3].Addr, fleet(5)[4].Addr)
				}
				assert.Equal(t, 3, v.State().Snapshot.Len())
				assert.Zero(t, v.State().Held)
				assert.Equal(t, ListSettled, (*events)[len(*events)-1].Kind)
				require.NoError(t, r.Close())
			})
		})
	}
}
