package promx_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/promx"
)

// TestNamesOfRequestsMakeNoSeries: a client that calls whatever host it is told to opens a
// view of each.
func TestNamesOfRequestsMakeNoSeries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "v1")
	require.NoError(t, send(t, v, request{}, resolver.Outcome{}))
	v.Close() // it must keep its series all the same
	before := 0
	const names = promx.MaxServices + 100
	for i := range names {
		v, err := w.resolver.View(w.resolver.Service("evil"+strconv.FormatUint(rand.Uint64(), 36)), "http")
		require.NoError(t, err)
		require.ErrorIs(t, send(t, v, request{}, resolver.Outcome{}), resolver.ErrUnknownService)
		require.Eventually(t, func() bool {
			_, updated := w.updated.Load(v.Service())
			return updated
		}, 5*time.Second, time.Millisecond)
		v.Close()
		if i == 0 {
			before = testutil.CollectAndCount(w.metrics)
		}
	}
	assert.Equal(t, before, testutil.CollectAndCount(w.metrics))
	refusals := w.series(t, "graylane_refusals_total")
	assert.NotContains(t, fmt.Sprint(refusals), "evil")
	assert.InDelta(t, names, refusals["protocol=http reason=unknown_service service=other"], 0)
	assert.Contains(t, w.series(t, "graylane_picks_total"), "fallback= protocol=http rule= service=user target= via=default")
}

// TestWhatSomebodyHasSetUpHasItsName: an instance does, and a document, even a bad one.
func TestWhatSomebodyHasSetUpHasItsName(t *testing.T) {
	t.Parallel()
	for name, appears := range map[string]func(w *world, s registry.Service){
		"instance": func(w *world, s registry.Service) { w.Set(s, instances("v1")...) },
		"document": func(w *world, s registry.Service) {
			w.put(config.ServiceDocID(s.Name), config.NewDoc([]byte("gray: v1\ndefault: v1\n")))
		},
		"bad-document": func(w *world, s registry.Service) {
			w.put(config.ServiceDocID(s.Name), config.NewDoc([]byte("gray: v1\n")))
		},
	} {
		w := newWorld(t)
		v := w.open(t, name, "http")
		t.Cleanup(v.Close)
		require.Error(t, send(t, v, request{}, resolver.Outcome{}))
		assert.Empty(t, w.series(t, "graylane_from_cache"), name)
		appears(w, v.Service())
		require.Eventually(t, func() bool {
			return len(w.series(t, "graylane_from_cache")) == 1
		}, 5*time.Second, time.Millisecond, name)
		w.Set(v.Service())
		_ = send(t, v, request{}, resolver.Outcome{})
		assert.Contains(t, fmt.Sprint(w.series(t, "graylane_refusals_total")), "service="+name)
	}
}

// TestTheEndOfAnOldCallTeachesNothing: it may be over long after the rules have changed.
func TestTheEndOfAnOldCallTeachesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "base")
	defer v.Close()
	now, _ := many(promx.MaxValues, "now")
	w.rules(t, v, strings.ReplaceAll(now, "now", "old"))
	old, err := v.Pick(t.Context(), request{user: "u0"}, nil)
	require.NoError(t, err)
	w.rules(t, v, now)
	w.each(t, v, promx.MaxValues)
	before := w.series(t, "graylane_picks_total")
	require.Contains(t, fmt.Sprint(before), "rule=rule-now000")
	old.Done(t.Context(), resolver.Outcome{Status: 200})
	assert.Equal(t, before, w.series(t, "graylane_picks_total"))
	assert.InDelta(t, 1, w.series(t, "graylane_attempts_total")["protocol=http result=good rule=other service=user version=base"], 0)
}

// TestALateUpdateDoesNotReplaceASuccessor: a view's last update may be on its way while the
// view ends.
func TestALateUpdateDoesNotReplaceASuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.open(t, "user", "http", "v1")
	state := first.State()
	first.Close()
	w.updated.Clear()
	second := w.open(t, "user", "http", "v1")
	defer second.Close()
	require.Len(t, w.series(t, "graylane_from_cache"), 1)
	w.metrics.Hooks().OnUpdate(first, state)
	assert.Len(t, w.series(t, "graylane_from_cache"), 1)
}
