package resolver

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

// TestAHookThatPanicsStopsNothing: what runs beside requests goes on, and says so.
func TestAHookThatPanicsStopsNothing(t *testing.T) { // F61
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		reg.Set(order, fleet(4)...)
		src.say("")
		var updates, events, errs atomic.Int64
		r, v := open(t, reg, src, WithHooks(Hooks{
			OnUpdate: func(*View, *State) { updates.Add(1); panic("boom") },                      //nolint:forbidigo // that is the case
			OnEvent:  func(Event) { events.Add(1); panic("boom") },                               //nolint:forbidigo // that is the case
			OnError:  func(s registry.Service, _ error) { errs.Add(1); panic("boom " + s.Name) }, //nolint:forbidigo // that is the case
		}), WithHooks(log.hooks()))
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		synctest.Wait()
		require.EqualValues(t, 1, updates.Load())
		require.Len(t, log.all(), 1)
		require.EqualError(t, log.all()[0], "resolver: the hook OnUpdate panicked: boom")

		for range 4 { // each is ejected: an event
			c, err := v.Pick(t.Context(), request{}, nil)
			require.NoError(t, err)
			c.Done(t.Context(), refused())
		}
		require.NotZero(t, events.Load())
		require.Len(t, log.all(), 1+int(events.Load()))
		require.EqualError(t, log.all()[1], "resolver: the hook OnEvent panicked: boom")

		reported := errs.Load()
		src.say("gray: v1\ndefalt: v1\n") // refused: an error
		synctest.Wait()
		assert.Equal(t, reported+2, errs.Load(), "that, and the panic of OnUpdate; OnError is not told of its own")

		reg.Set(order, instance("10.0.0.9:1", "v1"))
		synctest.Wait()
		assert.Equal(t, "10.0.0.9:1", pick(t, v, request{}))
		assert.EqualValues(t, 3, updates.Load())
	})
}

// TestAHookThatPanicsFailsNoRequest: each is told of, and counted to its end.
func TestAHookThatPanicsFailsNoRequest(t *testing.T) { // F61
	synctest.Test(t, func(t *testing.T) {
		reg, log := memory.New(), &errorLog{}
		reg.Set(order, fleet(4)...)
		r, v := open(t, reg, nil, WithHooks(Hooks{
			OnPick: func(context.Context, Call, error) { panic("boom") },                  //nolint:forbidigo // that is the case
			OnDone: func(context.Context, Call, Outcome, time.Duration) { panic("boom") }, //nolint:forbidigo // that is the case
		}), WithHooks(log.hooks()))
		defer r.Close()
		require.NotEmpty(t, pick(t, v, request{}))
		require.Len(t, log.all(), 2)
		require.EqualError(t, log.all()[0], "resolver: the hook OnPick panicked: boom")
		require.EqualError(t, log.all()[1], "resolver: the hook OnDone panicked: boom")
		for i := range 4 {
			assert.Zero(t, v.State().Director.Endpoint(i).InFlight())
		}

		reg.Set(order)
		synctest.Wait()
		_, err := v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, balancer.ErrNoInstance)
	})
}

// TestAHookThatBlocksDelaysNoRequest: OnUpdate blocks for a minute. Requests go on with the
// state that it was told of, and afterwards with the newest.
func TestAHookThatBlocksDelaysNoRequest(t *testing.T) { // F61
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		var updates atomic.Int64
		r, v := open(t, reg, nil, WithHooks(Hooks{OnUpdate: func(*View, *State) {
			if updates.Add(1) == 2 {
				time.Sleep(time.Minute) //nolint:forbidigo // fake time
			}
		}}))
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		start := time.Now()
		for i := range 100 {
			reg.Set(order, instance("10.0.0.2:1", "v1"), instance("10.0.0.3:1", []string{"v1", "v2"}[i%2]))
			synctest.Wait()
			assert.NotEqual(t, "10.0.0.1:1", pick(t, v, request{}))
		}
		assert.Zero(t, time.Since(start), "no request has waited")
		assert.EqualValues(t, 2, updates.Load())
		reg.Set(order, instance("10.0.0.4:1", "v1"))
		time.Sleep(time.Minute) //nolint:forbidigo // fake time
		synctest.Wait()
		assert.Equal(t, "10.0.0.4:1", pick(t, v, request{}))
		assert.EqualValues(t, 3, updates.Load(), "of what has changed meanwhile there is the latest alone")
	})
}
