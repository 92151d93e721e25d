package promx_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/promx"
)

const rules = `
gray: v1
default: v1
rules:
- {name: testers, when: {user: [ann, bob]}, to: v2}
- {name: asked, by: header.x-gray-version, missing: fail}
- {name: back, when: {user: zoe}, to: v1}
- {name: half, sticky: user, to: {v2: 50%}}
guard: {errors: 50%, min: 5, hold: 1m}
`

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "v1", "v2")
	defer v.Close()
	w.rules(t, v, rules)

	require.NoError(t, send(t, v, request{user: "ann"}, resolver.Outcome{Status: 200}))
	require.NoError(t, send(t, v, request{user: "ann"}, resolver.Outcome{Status: 503}))
	require.NoError(t, send(t, v, request{user: "ann"}, resolver.Outcome{Err: context.Canceled}))
	require.NoError(t, send(t, v, request{}, resolver.Outcome{Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}})) // no user: v1
	require.ErrorIs(t, send(t, v, asking("v9"), resolver.Outcome{}), balancer.ErrNoInstance)
	require.ErrorIs(t, send(t, v, asking("no name"), resolver.Outcome{}), balancer.ErrUnknownTarget)

	c, err := v.Pick(t.Context(), asking("v1"), nil)
	require.NoError(t, err)
	c.Done(t.Context(), resolver.Outcome{Status: 502})
	c, err = c.Next(t.Context(), nil)
	require.NoError(t, err)
	c.Done(t.Context(), resolver.Outcome{Status: 200})

	assert.Equal(t, map[string]float64{
		"fallback= protocol=http rule=testers service=user target=v2 via=rule": 3,
		"fallback= protocol=http rule=half service=user target=v1 via=rule":    1,
		"fallback= protocol=http rule=asked service=user target=v1 via=rule":   1,
	}, w.series(t, "graylane_picks_total"))
	assert.Equal(t, map[string]float64{
		"protocol=http result=good rule=testers service=user version=v2":     1,
		"protocol=http result=bad rule=testers service=user version=v2":      1,
		"protocol=http result=nothing rule=testers service=user version=v2":  1,
		"protocol=http result=unreachable rule=half service=user version=v1": 1,
		"protocol=http result=bad rule=asked service=user version=v1":        1,
		"protocol=http result=good rule=asked service=user version=v1":       1,
	}, some(w.series(t, "graylane_attempts_total")))
	assert.Equal(t, map[string]float64{
		"protocol=http rule=testers service=user version=v2": 2, // but for the one whose caller left
		"protocol=http rule=half service=user version=v1":    1,
		"protocol=http rule=asked service=user version=v1":   2,
	}, w.series(t, "graylane_attempt_duration_seconds"))
	assert.Equal(t, map[string]float64{
		"protocol=http reason=no_instance service=user":    1,
		"protocol=http reason=unknown_target service=user": 1,
	}, some(w.series(t, "graylane_refusals_total")))
	assert.Equal(t, map[string]float64{"protocol=http service=user": 1}, w.series(t, "graylane_retries_total"))
	assert.Equal(t, map[string]float64{"rule=half service=user": 1}, w.series(t, "graylane_keyless_total"))
	assert.Len(t, w.series(t, "graylane_refusals_total"), 7, "those that have not happened are 0")
}

func TestFallbacksAndLanesAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "grpc", "v1", "v2")
	defer v.Close()
	list := instances("v1", "v2")
	list[1].Metadata[registry.KeyLane] = "blue"
	w.Set(v.Service(), list...)
	w.rules(t, v, "gray: v1\ndefault: v1\nrules:\n- {name: all, to: v3}\n")
	require.NoError(t, waitFor(t.Context(), v, func(s *resolver.State) bool {
		return s.Snapshot.At(1).Metadata[registry.KeyLane] != ""
	}))

	require.NoError(t, send(t, v, request{lane: "blue"}, resolver.Outcome{}))
	require.NoError(t, send(t, v, request{lane: "green"}, resolver.Outcome{}))
	assert.Equal(t, map[string]float64{
		"fallback= protocol=grpc rule= service=user target=blue via=lane":         1,
		"fallback=default protocol=grpc rule=all service=user target=v3 via=rule": 1,
	}, w.series(t, "graylane_picks_total"))
}

func TestWhatIsKnownIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http")
	defer v.Close()
	list := instances("v1", "v1", "v1", "v2", "v2")
	list[1].Healthy, list[3].Enabled, list[4].Weight = false, false, 0
	w.Set(v.Service(), list...)
	before := time.Now()
	w.rules(t, v, rules)
	require.NoError(t, waitFor(t.Context(), v, func(s *resolver.State) bool { return s.Snapshot.Len() == len(list) }))
	const of = "protocol=http service=user "

	assert.Equal(t, map[string]float64{
		of + "state=usable version=v1": 2, of + "state=unhealthy version=v1": 1,
		of + "state=usable version=v2": 0, of + "state=disabled version=v2": 1, of + "state=weightless version=v2": 1,
	}, w.series(t, "graylane_instances"))
	assert.Equal(t, map[string]float64{"md5=" + v.State().Rules.MD5[:8] + " service=user": 1}, w.series(t, "graylane_rules_info"))
	assert.Equal(t, map[string]float64{"rule=half service=user target=v1": 0.5, "rule=half service=user target=v2": 0.5},
		w.series(t, "graylane_rule_share"))
	assert.Equal(t, map[string]float64{"service=user": 0}, w.series(t, "graylane_rules_refused"))
	assert.InDelta(t, float64(before.UnixMilli())/1000, w.series(t, "graylane_rules_applied_timestamp_seconds")["service=user"], 60)
	assert.Equal(t, map[string]float64{of + "target=v2": 0}, w.series(t, "graylane_guard_withdrawn"))
	for _, name := range []string{"held_instances", "from_cache", "several_versions"} {
		assert.Equal(t, map[string]float64{"protocol=http service=user": 0}, w.series(t, "graylane_"+name), name)
	}
	stale := w.series(t, "graylane_list_staleness_seconds")
	require.Len(t, stale, 1)
	assert.InDelta(t, 0, stale["protocol=http service=user"], 5)
	assert.Empty(t, w.series(t, "graylane_rules_staleness_seconds"), "this source does not tell")
	assert.Empty(t, w.series(t, "graylane_rules_apply_delay_seconds"), "nor when it was told")

	changed := config.NewDoc([]byte(strings.Replace(rules, "50%}", "60%}", 1)))
	changed.At = time.Now().Add(-time.Second)
	w.put("gray.user.yaml", changed)
	require.NoError(t, waitFor(t.Context(), v, func(s *resolver.State) bool { return s.Revision() == changed.MD5 }))
	assert.InDelta(t, 1, w.series(t, "graylane_rules_apply_delay_seconds")["service=user"], 0.9)

	errs := w.series(t, "graylane_errors_total")
	w.put("gray.user.yaml", config.NewDoc([]byte("gray: v1\n")))
	require.NoError(t, waitFor(t.Context(), v, func(s *resolver.State) bool { return s.RulesDoc.Refused != nil }))
	assert.Equal(t, map[string]float64{"service=user": 1}, w.series(t, "graylane_rules_refused"))
	assert.Equal(t, map[string]float64{"document=gray.user.yaml": 1}, w.series(t, "graylane_documents_refused_total"))
	assert.Equal(t, errs, w.series(t, "graylane_errors_total"))

	v.Close()
	for _, name := range []string{"instances", "rules_info", "rules_refused", "from_cache", "guard_withdrawn"} {
		assert.Empty(t, w.series(t, "graylane_"+name), "%s of a view that has ended", name)
	}
	again, err := w.resolver.View(w.resolver.Service("user"), "http")
	require.NoError(t, err)
	v = again
	require.NoError(t, v.Ready(t.Context()))
	require.Eventually(t, func() bool { return len(w.series(t, "graylane_instances")) > 0 }, 5*time.Second, time.Millisecond)
}

func TestEventsAndErrorsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "v1", "v1", "v2")
	defer v.Close()
	w.rules(t, v, rules)
	for range 10 {
		require.NoError(t, send(t, v, request{user: "ann"}, resolver.Outcome{Status: 503}))
	}
	assert.Equal(t, map[string]float64{"service=user target=v2": 1}, w.series(t, "graylane_guard_trips_total"))
	assert.Equal(t, map[string]float64{"protocol=http service=user target=v2": 1}, w.series(t, "graylane_guard_withdrawn"))

	hooks := w.metrics.Hooks()
	for kind, times := range map[resolver.Kind]int{
		resolver.InstanceEjected: 3, resolver.InstanceReturned: 2, resolver.ListHeld: 4, resolver.ListSettled: 1, resolver.FromCache: 1,
	} {
		for range times {
			hooks.OnEvent(resolver.Event{Kind: kind, Service: w.resolver.Service("order")})
		}
	}
	assert.InDelta(t, 3, w.series(t, "graylane_ejections_total")["service=order"], 0)
	assert.InDelta(t, 2, w.series(t, "graylane_returns_total")["service=order"], 0)
	assert.InDelta(t, 4, w.series(t, "graylane_lists_held_total")["service=order"], 0)
	before := w.series(t, "graylane_errors_total")[""] // two versions served before there was a rule
	hooks.OnError(registry.Service{}, errors.New("the watch has ended"))
	assert.InDelta(t, before+1, w.series(t, "graylane_errors_total")[""], 0)
}

func TestAServiceIsNamedShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range []registry.Service{{Name: "user"}, {Name: "user", Group: "pay"}, {Name: "user", Namespace: "other"}} {
		w.Set(s, instances("v1")...)
		v, err := w.resolver.View(s, "")
		require.NoError(t, err)
		t.Cleanup(v.Close)
		require.NoError(t, v.Ready(t.Context()))
	}
	require.Eventually(t, func() bool { return len(w.series(t, "graylane_from_cache")) == 2 }, 5*time.Second, time.Millisecond)
	assert.Equal(t, map[string]float64{"protocol= service=user": 0, "protocol= service=pay/user": 0}, w.series(t, "graylane_from_cache"),
		"two namespaces make no series twice, which would fail the scrape")
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, promx.WithBuckets(1, 0.5, 0.5, -1, 0, math.NaN(), math.Inf(1)))
	v := w.open(t, "user", "http", "v1")
	defer v.Close()
	require.NoError(t, send(t, v, request{}, resolver.Outcome{}))
	families, err := w.gatherer.Gather()
	require.NoError(t, err)
	var bounds []float64
	for _, f := range families {
		if f.GetName() == "graylane_attempt_duration_seconds" {
			for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
				bounds = append(bounds, b.GetUpperBound())
			}
		}
	}
	assert.Equal(t, []float64{0.5, 1}, bounds)
}

func TestTheNamesAreAsPrometheusWantsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.open(t, "user", "http", "v1")
	defer v.Close()
	require.NoError(t, send(t, v, request{}, resolver.Outcome{}))
	problems, err := testutil.GatherAndLint(w.gatherer)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func ExampleNew() {
	metrics := promx.New(promx.WithBuckets(.01, .1, 1))
	registerer := prometheus.NewRegistry()
	registerer.MustRegister(metrics)

	reg := memory.New() // in production: graylane.Open, with graylane.WithHooks
	reg.Set(registry.Service{Name: "user"}, registry.NewInstance("127.0.0.1:8080"))
	r, err := resolver.New(reg, nil, resolver.WithHooks(metrics.Hooks()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	v, err := r.View(r.Service("user"), "http")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	call, err := v.Pick(context.Background(), request{}, nil) // httpx and grpcx do
	if err != nil {
		fmt.Println(err)
		return
	}
	call.Done(context.Background(), resolver.Outcome{Status: http.StatusOK})

	scrape, req := httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", http.NoBody)
	promhttp.HandlerFor(registerer, promhttp.HandlerOpts{}).ServeHTTP(scrape, req)
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "graylane_picks_total") {
			fmt.Print(line)
		}
	}
	// Output: graylane_picks_total{fallback="",protocol="http",rule="",service="user",target="",via="default"} 1
}
