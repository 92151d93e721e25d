package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/integration/nacos"
)

// toSee bounds the wait until Prometheus shows something: a rate over a minute, a
// staleness of 30 s, on a busy machine.
const toSee = 90 * time.Second

// needs fails the test, or leaves it out where the real Nacos may be left out too, if
// a program of Debian's package prometheus is missing.
func needs(t *testing.T, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	if err == nil {
		return
	}
	for _, name := range []string{"CI", "REQUIRE_NACOS"} {
		if set, _ := strconv.ParseBool(os.Getenv(name)); set {
			t.Fatal(err, "; on Debian: apt-get install prometheus")
		}
	}
	t.Skip("LEFT OUT: ", err, "; on Debian: apt-get install prometheus")
}

// eyes are the API of a Prometheus.
type eyes struct {
	t      *testing.T
	addr   string
	client *http.Client
}

func (e *eyes) get(path string, query url.Values, data any) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, "http://"+e.addr+"/api/v1/"+path+"?"+query.Encode(), http.NoBody)
	require.NoError(e.t, err)
	resp, err := e.client.Do(req)
	require.NoError(e.t, err)
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	require.NoError(e.t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(e.t, "success", answer.Status, "%s: %s", query, answer.Error)
}

// sample is one line of an instant vector.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

func (s sample) value(t *testing.T) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s.Value[1].(string), 64)
	require.NoError(t, err)
	return v
}

func (e *eyes) query(expr string) []sample {
	e.t.Helper()
	var data struct{ Result []sample }
	e.get("query", url.Values{"query": {expr}}, &data)
	return data.Result
}

// shows waits until an expression has a value, the only one, within bounds.
func (e *eyes) shows(expr string, low, high float64) {
	e.t.Helper()
	begin := time.Now()
	var last []sample
	require.Eventually(e.t, func() bool {
		last = e.query(expr)
		return len(last) == 1 && last[0].value(e.t) >= low && last[0].value(e.t) <= high
	}, toSee, 200*time.Millisecond, "%s is not from %g to %g: %v", expr, low, high, &last)
	e.t.Logf("FIGURE %s = %.3g after %s", expr, last[0].value(e.t), time.Since(begin).Round(100*time.Millisecond))
}

// firing returns the alerts that fire, as "name service".
func (e *eyes) firing() []string {
	e.t.Helper()
	var data struct {
		Alerts []struct {
			State       string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
	e.get("alerts", nil, &data)
	names := map[string]bool{}
	for _, a := range data.Alerts {
		if a.State == "firing" {
			names[a.Labels["alertname"]+" "+a.Labels["service"]] = true
			assert.NotContains(e.t, a.Annotations["summary"], "  ", "a label that the alert does not have")
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// alert waits until an alert fires, or does not.
func (e *eyes) alert(want bool, alerts ...string) {
	e.t.Helper()
	begin := time.Now()
	var now []string
	require.Eventually(e.t, func() bool {
		now = e.firing()
		for _, a := range alerts {
			if slices.Contains(now, a) != want {
				return false
			}
		}
		return true
	}, toSee, 200*time.Millisecond, "%v: firing should be %v; all that fire: %v", alerts, want, &now)
	e.t.Logf("FIGURE alerts %v: firing %v after %s", alerts, want, time.Since(begin).Round(100*time.Millisecond))
}

// hurried makes Prometheus look every second, and alert at once. What it computes stays
// as it is.
func hurried(file string) string {
	return regexp.MustCompile(`((?:for|scrape_interval|evaluation_interval): )\w+`).ReplaceAllString(file, "${1}1s")
}

// kill ends services as kill -9 does, at once.
func (d *Demo) kill(t *testing.T, services ...string) {
	t.Helper()
	killed := map[string]*process{}
	d.mu.Lock()
	for _, name := range services {
		killed[name] = d.processes[name]
		delete(d.processes, name) // Close has nothing to say of them
	}
	d.mu.Unlock()
	for _, p := range killed {
		assert.NoError(t, p.cmd.Process.Kill())
	}
	for _, p := range killed {
		<-p.done
	}
}

// TestPrometheusSeesWhatHappens runs the demo under the Prometheus of the compose file,
// breaks it, and looks at alerts and at what the dashboard would show.
func TestPrometheusSeesWhatHappens(t *testing.T) {
	needs(t, "prometheus")
	node := nacos.Run(t)
	project := load(t, File)
	d, err := Start(t.Context(), project, Options{Nacos: node.Addr(), FreePorts: true, Say: func(string, string) {}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	addr, err := d.Watch(t.Context(), hurried)
	require.NoError(t, err)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	e := &eyes{t, addr, client}
	s := &shop{t: t, console: node.Console(), gateway: d.Addr("gateway", 8080), client: client}

	assert.Contains(t, s.fetch("http://"+d.Addr("gateway", 6060)+"/debug/graylane/"), "order")

	// The shop opens without rules.
	e.shows(`count(up == 1)`, 9, 9)
	e.alert(true, "GraylaneSeveralVersions order", "GraylaneSeveralVersions user", "GraylaneSeveralVersions stock")

	// A share of the orders, and more of it.
	const some = `graylane_picks_total{service="order", rule="some"`
	for _, percent := range []float64{20, 80} {
		s.publish("order", fmt.Sprintf("{gray: v1, default: v1, rules: [{name: asked-for, by: header.x-gray-version}, {name: some, to: {v2: %g%%}}]}", percent),
			1, func(path string) bool { return strings.HasPrefix(path, "order v2") })
		e.shows(`100 * min(graylane_rule_share{service="order", rule="some", target="v2"})`, percent, percent)
		e.shows(`100 * sum(rate(`+some+`, target="v2"}[10s])) / sum(rate(`+some+`}[10s]))`, percent-3, percent+3)
	}
	e.alert(false, "GraylaneSeveralVersions order")
	e.shows(`max(count by (service) (count by (service, md5) (graylane_rules_info)))`, 1, 1)

	// A mistake is refused; who restarts before it is mended has no rules at all.
	const good = "{gray: v1, default: v1, guard: {failures: 3, hold: 10m}, rules: [{name: asked-for, by: header.x-gray-version}, {name: half, to: {v2: 50%}, sticky: header.x-nobody}]}"
	s.publish("stock", good, 20, func(path string) bool { return strings.HasSuffix(path, "stock v1") })
	s.publish("stock", strings.Replace(good, "50%", "50", 1), 1, func(string) bool { return true })
	e.alert(true, "GraylaneRulesRefused stock")
	assert.NotContains(t, e.firing(), "GraylaneRevisionsDiffer stock", "all have the last good one")
	d.kill(t, "user-v2")
	require.NoError(t, d.start(t.Context(), "user-v2", project.Services["user-v2"]))
	e.alert(true, "GraylaneRevisionsDiffer stock", "GraylaneSeveralVersions stock")
	s.publish("stock", good, 1, func(string) bool { return true })
	e.alert(false, "GraylaneRulesRefused stock", "GraylaneRevisionsDiffer stock", "GraylaneSeveralVersions stock")

	// Two of the three stocks die at once.
	d.kill(t, "stock-v2", "stock-v3")
	e.alert(true, "GraylaneInstancesFail stock", "GraylaneGuardWithdrawn stock")

	// A default that nobody serves, and a Nacos that hangs.
	s.publish("order", "{gray: v1, default: v9}", 0, nil)
	e.alert(true, "GraylaneRequestsRefused order")
	require.NoError(t, node.Pause())
	e.alert(true, "GraylaneListStale order", "GraylaneRulesStale order")
	e.checkMetrics() // the counters are all there by now
	e.checkDashboard()
	require.NoError(t, node.Resume())
	e.alert(false, "GraylaneListStale order", "GraylaneRulesStale order")
}

func TestWithoutPrometheusItSaysHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := new(Demo).Watch(t.Context(), hurried)
	require.ErrorIs(t, err, ErrNoPrometheus)
	require.ErrorContains(t, err, "apt-get install prometheus")
}
