package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

func TestTheGlobalDocumentDeclaresLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		src.say(toV1)
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		blue := request{lane: "blue"}
		assert.Equal(t, "10.0.0.1:1", pick(t, v, blue), "nobody is in the lane")

		good := src.sayOf(config.GlobalDocID, "gray: v1\nlanes: {blue: {match: {version: v2}}}\n")
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, blue))
		assert.Equal(t, good, v.State().Global.MD5)

		src.sayOf(config.GlobalDocID, "gray: v1\nlane: {}\n")
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, blue), "the last good one stays")
		require.Len(t, log.all(), 1, "one report, for all services")
		require.ErrorContains(t, log.all()[0], "gray._global.yaml:2:1: unknown-field")

		src.sayOf(config.GlobalDocID, "")
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, blue))
		require.ErrorIs(t, log.all()[1], ErrDocumentGone)

		src.sayOf(config.GlobalDocID, "gray: v1\nlanes: {blue: {missing: fail}}\n")
		synctest.Wait()
		_, err := v.Pick(t.Context(), blue, nil)
		require.ErrorIs(t, err, balancer.ErrNoInstance)
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
	})
}

func TestTheFirstRequestWaitsForTheGlobalDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		src.silent = true
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		src.say(toV1)
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		time.AfterFunc(time.Second, func() { src.sayOf(config.GlobalDocID, "gray: v1\nlanes: {blue: {match: {version: v2}}}\n") })
		start := time.Now()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, request{lane: "blue"}))
		assert.Equal(t, time.Second, time.Since(start))
		assert.Empty(t, log.all())
	})
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		src.silent = true
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		src.say(toV1)
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		start := time.Now()
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{lane: "blue"}))
		assert.Equal(t, rulesWait, time.Since(start), "but not for ever")
		require.Len(t, log.all(), 1)
		require.ErrorContains(t, log.all()[0], config.GlobalDocID)
	})
}

const enterBlue = "gray: v1\nenter:\n- {name: us, when: {user: us}, lane: blue}\n- {name: half, lane: {green: 50%}}\n"

func TestTheEntrancePutsRequestsIntoLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		r, err := New(memory.New(), src)
		require.NoError(t, err)
		e := r.Entrance()
		assert.Empty(t, e.Lane(t.Context(), request{user: "us"}))
		src.sayOf(config.GlobalDocID, enterBlue)
		assert.Equal(t, "blue", e.Lane(t.Context(), request{user: "us"}))
		green := 0
		for range config.Slots {
			if e.Lane(t.Context(), request{}) == "green" {
				green++
			}
		}
		assert.Equal(t, config.Slots/2, green)
		// The same rule in another document goes on with its walk.
		for i := range config.Slots {
			if i == 5000 {
				src.sayOf(config.GlobalDocID, enterBlue+"- {name: rest, lane: red}\n")
			}
			if e.Lane(t.Context(), request{}) == "green" {
				green++
			}
		}
		assert.Equal(t, config.Slots, green)
		var req config.Request = request{user: "us"}
		assert.Zero(t, testing.AllocsPerRun(100, func() { e.Lane(t.Context(), req) }))
		require.NoError(t, r.Close())
		assert.Equal(t, "blue", e.Lane(t.Context(), request{user: "us"}), "what is known stays")
		assert.Empty(t, r.Entrance().Lane(t.Context(), request{user: "us"}))
	})
}

func TestTheEntranceWaitsForTheDocumentAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		src.silent = true
		r, err := New(memory.New(), src)
		require.NoError(t, err)
		defer r.Close()
		e, start := r.Entrance(), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Empty(t, e.Lane(ctx, request{user: "us"}))
		assert.Equal(t, time.Second, time.Since(start), "no longer than the request may take")
		time.AfterFunc(time.Second, func() { src.sayOf(config.GlobalDocID, enterBlue) })
		assert.Equal(t, "blue", e.Lane(t.Context(), request{user: "us"}))
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		src.silent = true
		r, err := New(memory.New(), src)
		require.NoError(t, err)
		defer r.Close()
		e, start := r.Entrance(), time.Now()
		for range 3 {
			assert.Empty(t, e.Lane(t.Context(), request{user: "us"}))
			assert.Equal(t, rulesWait, time.Since(start), "together")
		}
	})
}

func TestSeveralVersionsWithoutADefaultAreReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		src.say("") // before the watches: this source tells the newest of them alone
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		other, err := r.View(order, "http")
		require.NoError(t, err)
		inLane := instance("10.0.0.3:1", "v3")
		inLane.Metadata[registry.KeyLane] = "blue"
		reg.Set(order, instance("10.0.0.1:1", "v1"), inLane)
		require.NoError(t, v.Ready(t.Context()))
		require.NoError(t, other.Ready(t.Context()))
		assert.Empty(t, log.all())

		for range 3 { // changes of the list do not repeat it
			reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
			synctest.Wait()
			reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"), instance("10.0.0.4:1", "v2"))
			synctest.Wait()
		}
		require.Len(t, log.all(), 1)
		require.ErrorIs(t, log.all()[0], ErrSeveralVersions)
		require.ErrorContains(t, log.all()[0], "v1 ×1, v2 ×1")

		src.say(toV1)
		synctest.Wait()
		assert.Len(t, log.all(), 1)
	})
	synctest.Test(t, func(t *testing.T) {
		reg, log := memory.New(), &errorLog{}
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		r, v := open(t, reg, nil, WithHooks(log.hooks()), WithDefaultVersion("v1"))
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		assert.Empty(t, log.all(), "the consumer named one")
	})
}
