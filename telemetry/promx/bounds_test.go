package promx_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/promx"
)

// TestRequestsMakeNoSeries sends what a hostile client may: versions, users and lanes
// that nobody has.
func TestRequestsMakeNoSeries(t *testing.T) {
	t.Parallel()
	byHeader := "gray: v1\ndefault: v1\nrules:\n- {name: asked, by: header.x-gray-version}\n"
	for name, c := range map[string]struct {
		doc       string
		with, end int // series: after one request to each version, and at the end
	}{
		"by a rule":          {byHeader, 0, 0},
		"without a document": {"", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v := w.open(t, "user", "http", "v1", "v2")
			defer v.Close()
			if c.doc != "" {
				w.rules(t, v, c.doc)
			}
			for _, version := range []string{"v1", "v2", "v3"} {
				require.NoError(t, send(t, v, asking(version), resolver.Outcome{}))
			}
			before := testutil.CollectAndCount(w.metrics)
			header := map[string]string{}
			r := request{header: header}
			for range requests / 2 { // both worlds together
				header[lane.HeaderVersion] = strconv.FormatUint(rand.Uint64(), 36)
				r.user, r.lane = header[lane.HeaderVersion], header[lane.HeaderVersion]
				if err := send(t, v, r, resolver.Outcome{}); err != nil {
					require.NoError(t, err)
				}
			}
			after := testutil.CollectAndCount(w.metrics)
			t.Logf("FIGURE metrics after %d random versions, lanes and users, %s: %d (before: %d)", requests/2, name, after, before)
			assert.Equal(t, before, after)
			other := 0.0
			for labels, n := range w.series(t, "graylane_picks_total") {
				if strings.Contains(labels, "target=other") {
					other += n
				}
			}
			assert.InDelta(t, requests/2+1, other, 0)
		})
	}
}

// many returns a document of n rules, each with its own target, and their versions.
func many(n int, prefix string) (doc string, versions []string) {
	var b strings.Builder
	b.WriteString("gray: v1\ndefault: base\nrules:\n")
	for i := range n {
		version := fmt.Sprintf("%s%03d", prefix, i)
		versions = append(versions, version)
		fmt.Fprintf(&b, "- {name: rule-%s, when: {user: u%d}, to: %s}\n", version, i, version)
	}
	return b.String(), versions
}

func (w *world) each(tb testing.TB, v *resolver.View, n int) {
	tb.Helper()
	for i := range n {
		require.NoError(tb, send(tb, v, request{user: "u" + strconv.Itoa(i)}, resolver.Outcome{}))
	}
}

func TestFurtherValuesAreOther(t *testing.T) {
	t.Parallel()
	for _, n := range []int{promx.MaxValues - 1, promx.MaxValues} { // and the default beside them
		w := newWorld(t)
		doc, versions := many(n, "v")
		v := w.open(t, "user", "http", append(versions, "base")...)
		t.Cleanup(v.Close)
		w.rules(t, v, doc)
		w.each(t, v, n)
		other := 0
		for _, metric := range []string{"picks_total", "attempts_total", "attempt_duration_seconds", "instances"} {
			series := w.series(t, "graylane_"+metric)
			assert.GreaterOrEqual(t, len(series), promx.MaxValues-1, metric)
			for labels, value := range series {
				if value > 0 && (strings.Contains(labels, "target=other") || strings.Contains(labels, "version=other")) {
					other++
				}
			}
		}
		if n < promx.MaxValues {
			assert.Zero(t, other)
		} else {
			assert.Equal(t, 4, other, "one of each")
		}
	}
}

// A process that runs for long sees many versions and rules; those that are in use are
// told apart all along.
func TestOldValuesMakeRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "base")
	defer v.Close()
	most := 0
	for release := range 20 {
		doc, versions := many(30, fmt.Sprintf("r%02d-", release))
		w.Set(v.Service(), instances(append(versions, "base")...)...)
		w.rules(t, v, doc)
		require.NoError(t, waitFor(t.Context(), v, func(s *resolver.State) bool {
			return s.Snapshot.Len() == 31 && strings.HasPrefix(s.Snapshot.At(0).Version(), versions[0][:3])
		}))
		w.each(t, v, 30)
		picks := w.series(t, "graylane_picks_total")
		assert.Contains(t, picks, "fallback= protocol=http rule=rule-"+versions[29]+" service=user target="+versions[29]+" via=rule")
		assert.NotContains(t, fmt.Sprint(picks), promx.Other)
		assert.NotContains(t, fmt.Sprint(w.series(t, "graylane_attempts_total")), promx.Other)
		most = max(most, len(picks))
	}
	assert.LessOrEqual(t, most, promx.MaxValues)
	assert.Greater(t, most, 31, "they do not end before their room is needed")
}

func TestFurtherServicesAreOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	views := make([]*resolver.View, promx.MaxServices)
	for i := range views {
		views[i] = w.open(t, fmt.Sprint("s", i), "http", "v1")
		require.NoError(t, send(t, views[i], request{}, resolver.Outcome{}))
	}
	assert.NotContains(t, w.series(t, "graylane_retries_total"), "protocol=http service=other")
	for i := range 3 {
		v := w.open(t, fmt.Sprint("more", i), "http", "v1")
		t.Cleanup(v.Close)
		require.NoError(t, send(t, v, asking("v1"), resolver.Outcome{}))
	}
	picks := w.series(t, "graylane_picks_total")
	assert.Len(t, picks, promx.MaxServices+1)
	assert.InDelta(t, 3, picks["fallback= protocol=http rule= service=other target=other via=rule"], 0)
	assert.Len(t, w.series(t, "graylane_from_cache"), promx.MaxServices, "there are no gauges of others")

	views[7].Close()
	v := w.open(t, "new", "http", "v1")
	defer v.Close()
	assert.Len(t, w.series(t, "graylane_from_cache"), promx.MaxServices)
	require.NoError(t, send(t, v, request{}, resolver.Outcome{}))
	picks = w.series(t, "graylane_picks_total")
	assert.InDelta(t, 1, picks["fallback= protocol=http rule= service=new target= via=default"], 0, "it has the place of one whose view has ended")
	assert.NotContains(t, picks, "fallback= protocol=http rule= service=s7 target= via=default")
	for i := range views {
		if i != 7 {
			views[i].Close()
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	w := newWorld(t)
	v := w.open(t, "user", "http", "v1", "v2")
	defer v.Close()
	w.rules(t, v, rules)
	hooks := w.metrics.Hooks()
	c, err := v.Pick(t.Context(), asking("v2"), nil)
	require.NoError(t, err)
	defer c.Done(t.Context(), resolver.Outcome{})
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		hooks.OnPick(ctx, c, nil)
		hooks.OnDone(ctx, c, resolver.Outcome{}, time.Millisecond)
	}))
}

// TestCountersAreRightWhileDocumentsChange needs the race detector, and finds out whether
// requests are lost or counted as other while labels come.
func TestCountersAreRightWhileDocumentsChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "base")
	defer v.Close()
	const rounds, workers, requests = 30, 2, 200 // 60 rules in all: none makes room
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for range rounds * requests / workers {
				if send(t, v, request{user: "u" + strconv.Itoa(worker)}, resolver.Outcome{}) != nil {
					t.Error("refused")
				}
			}
		})
	}
	for round := range rounds {
		doc, versions := many(2, fmt.Sprintf("r%02d-", round))
		w.Set(v.Service(), instances(append(versions, "base")...)...)
		w.rules(t, v, doc)
		if round%10 == 0 {
			w.series(t, "graylane_picks_total")
		}
	}
	wg.Wait()
	for _, metric := range []string{"graylane_picks_total", "graylane_attempts_total"} {
		sum := 0.0
		for labels, n := range w.series(t, metric) {
			sum += n
			assert.NotContains(t, labels, "rule=other")
		}
		assert.InDelta(t, rounds*requests, sum, 0, metric)
	}
}

// TestFurtherCombinationsAreOther: 20 rules times 60 targets are more than are told apart.
func TestFurtherCombinationsAreOther(t *testing.T) {
	t.Parallel()
	const users, versions = 20, 60
	w := newWorld(t)
	names := make([]string, versions)
	for i := range names {
		names[i] = fmt.Sprintf("v%02d", i)
	}
	v := w.open(t, "user", "http", names...)
	defer v.Close()
	var doc strings.Builder
	doc.WriteString("gray: v1\ndefault: v00\nrules:\n")
	for i := range users {
		fmt.Fprintf(&doc, "- {name: by%d, when: {user: u%d}, by: header.x-gray-version}\n", i, i)
	}
	w.rules(t, v, doc.String())
	for i := range users {
		for _, version := range names {
			r := asking(version)
			r.user = "u" + strconv.Itoa(i)
			require.NoError(t, send(t, v, r, resolver.Outcome{}))
		}
	}
	picks, attempts := w.series(t, "graylane_picks_total"), w.series(t, "graylane_attempts_total")
	assert.Len(t, picks, 1024+1)
	assert.Len(t, attempts, (256+1)*4)
	assert.Len(t, w.series(t, "graylane_attempt_duration_seconds"), 256+1)
	assert.InDelta(t, users*versions-1024, picks["fallback= protocol=http rule=other service=user target=other via=rule"], 0)
	assert.InDelta(t, users*versions-256, attempts["protocol=http result=good rule=other service=user version=other"], 0)
}

func TestFurtherDocumentsAreOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hooks := w.metrics.Hooks()
	for i := range promx.MaxServices + 2 {
		hooks.OnError(registry.Service{}, &resolver.RefusedError{DataID: fmt.Sprint("gray.", i, ".yaml")})
	}
	refused := w.series(t, "graylane_documents_refused_total")
	assert.Len(t, refused, promx.MaxServices+1)
	assert.InDelta(t, 2, refused["document=other"], 0)
}

// TestAStateIsLearnedBeforeItsUpdate: it is in force a moment before the hooks are called.
func TestAStateIsLearnedBeforeItsUpdate(t *testing.T) {
	t.Parallel()
	metrics, reg := promx.New(), memory.New()
	w := &world{Registry: reg, metrics: metrics, gatherer: prometheus.NewPedanticRegistry()}
	w.gatherer.MustRegister(metrics)
	early := resolver.Hooks{OnUpdate: func(v *resolver.View, s *resolver.State) {
		if s.Snapshot.Len() > 0 {
			assert.NoError(t, send(t, v, asking(s.Snapshot.At(0).Version()), resolver.Outcome{}))
		}
	}}
	r, err := resolver.New(reg, nil, resolver.WithHooks(early), resolver.WithHooks(metrics.Hooks()))
	require.NoError(t, err)
	defer r.Close()
	v, err := r.View(r.Service("user"), "http")
	require.NoError(t, err)
	defer v.Close()
	for _, version := range []string{"v1", "v2", "v3"} {
		reg.Set(r.Service("user"), instances(version)...)
		require.Eventually(t, func() bool {
			return w.series(t, "graylane_picks_total")["fallback= protocol=http rule= service=user target="+version+" via=rule"] > 0
		}, 5*time.Second, time.Millisecond)
	}
	assert.NotContains(t, fmt.Sprint(w.series(t, "graylane_picks_total"), w.series(t, "graylane_attempts_total")), promx.Other)
}
