package demo

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/integration/nacos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for an event.
const patience = 20 * time.Second

// shop is the demo, from outside.
type shop struct {
	t       *testing.T
	console string // of Nacos
	gateway string
	client  *http.Client
}

// ask sends a request with a header through the gateway.
func (s *shop) ask(header ...string) string {
	s.t.Helper()
	return s.fetch("http://"+s.gateway+"/order", header...)
}

// fetch gets a URL with a header.
func (s *shop) fetch(page string, header ...string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, page, http.NoBody)
	require.NoError(s.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, resp.StatusCode, "%s", text)
	return strings.TrimSpace(string(text))
}

// tally counts the paths of n requests.
func (s *shop) tally(n int, header ...string) map[string]int {
	s.t.Helper()
	paths := map[string]int{}
	for range n {
		paths[s.ask(header...)]++
	}
	return paths
}

// publish sends a rule document as the console does, and waits until n requests
// in a row go where wanted. It returns how long the first of these came after the
// answer to the publish.
func (s *shop) publish(service, doc string, n int, wanted func(path string) bool) time.Duration {
	s.t.Helper()
	form := url.Values{
		"dataId": {"gray." + service + ".yaml"}, "groupName": {"GRAY"}, "namespaceId": {"public"}, "type": {"yaml"}, "content": {doc},
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.console+"/v3/console/cs/config", strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	var answer struct{ Code int }
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(s.t, http.StatusOK, resp.StatusCode)
	require.Zero(s.t, answer.Code)

	return s.settles(n, wanted)
}

// settles asks until n requests in a row go where wanted, and returns how long it
// took to the first of these.
func (s *shop) settles(n int, wanted func(path string) bool, header ...string) time.Duration {
	s.t.Helper()
	start := time.Now()
	first := start
	for row := 0; row < n; {
		begin := time.Now()
		path := s.ask(header...)
		switch {
		case !wanted(path):
			require.Less(s.t, begin.Sub(start), patience, "requests still go to %s", path)
			row = 0
			continue
		case row == 0:
			first = begin
		}
		row++
	}
	return first.Sub(start)
}

// share returns the part of the requests whose path has a hop.
func share(paths map[string]int, hop string) float64 {
	var with, all int
	for path, n := range paths {
		all += n
		if strings.Contains(path, hop) {
			with += n
		}
	}
	return 100 * float64(with) / float64(all)
}

// TestShopFollowsItsOperator starts the processes of docker-compose.yml and is
// their operator and their visitor.
func TestShopFollowsItsOperator(t *testing.T) {
	node := nacos.Run(t)
	var mu sync.Mutex
	var printed []string
	begin := time.Now()
	d, err := Start(t.Context(), load(t, File), Options{Nacos: node.Addr(), FreePorts: true, Say: func(service, line string) {
		if service == "load" {
			mu.Lock()
			defer mu.Unlock()
			printed = append(printed, line)
		} else if !strings.Contains(line, `"level":"info"`) {
			t.Logf("%s: %s", service, line)
		}
	}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	t.Logf("FIGURE the shop's %d processes, built, started and healthy after %s", len(d.processes), time.Since(begin).Round(time.Millisecond))
	s := &shop{t: t, console: node.Console(), gateway: d.Addr("gateway", 8080), client: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	defer s.client.CloseIdleConnections()

	// Nacos tells of a new instance with a delay: until then others serve.
	s.settles(20, func(path string) bool { return path == "order v2 > user v2 > stock v2" }, "X-Gray-Version", "v2")
	s.settles(20, func(path string) bool {
		return strings.HasPrefix(path, "order v3") && strings.HasSuffix(path, "stock v3")
	}, "X-Gray-Lane", "canary")

	// Without rules every version serves, and a request may name one.
	all := s.tally(300)
	for _, hop := range []string{"order v1", "order v2", "user v1", "user v2", "stock v1", "stock v2"} {
		assert.InDelta(t, 50, share(all, hop), 10, "%s of %v", hop, all)
	}
	assert.Equal(t, map[string]int{"order v2 > user v2 > stock v2": 100}, s.tally(100, "X-Gray-Version", "v2"))

	// A lane over all hops; the service in the middle has no instance of it.
	lane := s.tally(100, "X-Gray-Lane", "canary")
	assert.InDelta(t, 100, share(lane, "order v3 > user v"), 0, "%v", lane)
	assert.InDelta(t, 100, share(lane, " > stock v3"), 0, "%v", lane)
	assert.Zero(t, share(all, "v3"), "who is in no lane reaches none")

	// Each document moves one hop, at once, over HTTP and over gRPC.
	took := map[string]time.Duration{}
	for _, service := range []string{"order", "user", "stock"} {
		took[service] = s.publish(service, "{gray: v1, default: v1, rules: [{name: asked-for, by: header.x-gray-version}]}", 50, func(path string) bool { return strings.Contains(path, service+" v1") })
	}
	median := slices.Sorted(maps.Values(took))[1] // the machine may stand still once
	assert.Less(t, median, time.Second, "%v", took)
	assert.Equal(t, map[string]int{"order v1 > user v1 > stock v1": 100}, s.tally(100))
	assert.Equal(t, map[string]int{"order v3 > user v1 > stock v3": 100}, s.tally(100, "X-Gray-Lane", "canary"))
	t.Logf("FIGURE first request under the new rules, after the answer to the publish: %v", took)

	// A share of the orders.
	s.publish("order", "{gray: v1, default: v1, rules: [{name: asked-for, by: header.x-gray-version}, {name: twenty, to: {v2: 20%}}]}", 1, func(path string) bool { return strings.HasPrefix(path, "order v2") })
	twenty := s.tally(1000)
	assert.InDelta(t, 20, share(twenty, "order v2 > user v1 > stock v1"), 2, "%v", twenty)
	t.Logf("FIGURE 20 %% of the orders: %v", twenty)

	said := func() int { mu.Lock(); defer mu.Unlock(); return len(printed) }
	require.Eventually(t, func() bool { return said() >= 9 }, patience, 100*time.Millisecond, "three reports of the load")
	require.NoError(t, d.Close())
	mu.Lock()
	defer mu.Unlock()
	checkLoad(t, printed)
}

// checkLoad looks at what the load printed: nothing failed, and, once Nacos had
// told of all instances, nothing that asked for a version or was in a lane went
// elsewhere.
func checkLoad(t *testing.T, lines []string) {
	t.Helper()
	for i, line := range lines {
		kind := []string{
			`^anyone +order v.*user v.*stock v.*`,
			`^x-gray-version: v2 +order v2 100% +user v2 100% +stock v2 100% +`,
			`^x-gray-lane: canary +order v3 100% +user v.*stock v3 100% +`,
		}[i%3]
		if i < 3 {
			kind = ""
		}
		assert.Regexp(t, kind+`\(\d+ answered, 0 failed\)$`, line)
	}
	t.Logf("FIGURE the load's last report:\n%s", strings.Join(lines[len(lines)-3:], "\n"))
}
