package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// say publishes any document as the console does, and returns when the answer came.
func (s *stage) say(dataID, text string) time.Time {
	s.t.Helper()
	form := url.Values{"dataId": {dataID}, "groupName": {config.DefaultGroup}, "namespaceId": {registry.DefaultNamespace}}
	form.Set("content", text)
	form.Set("type", "yaml")
	s.operate(http.MethodPost, s.nacos.console, "/v3/console/cs/config", form)
	return time.Now()
}

// TestTheGlobalDocumentAndSwitchesAreLive: an operator declares a lane, says who
// enters it at an edge, and turns a switch; requests through a gateway follow.
func TestTheGlobalDocumentAndSwitchesAreLive(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		s.provideAll("v1", "v2")
		s.say(config.ServiceDocID(s.service), "gray: v1\ndefault: v1\n")
		client := s.open()
		r := client.Resolver()
		switches, err := r.Switches(s.service)
		require.NoError(t, err)
		defer switches.Close()
		name := "blue-" + s.service
		said := "" // what the switch says to the newest request
		gateway := httpx.NewGateway(httpx.NewTransport(r), func(in *http.Request) *url.URL {
			said = switches.String(in.Context(), "color", "none")
			return &url.URL{Scheme: "http", Host: s.service, Path: "/hello"}
		}, httpx.Enter(r))
		send := func(header http.Header) string {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			req.Header = header.Clone()
			if req.Header == nil {
				req.Header = http.Header{}
			}
			w := httptest.NewRecorder()
			gateway.ServeHTTP(w, req)
			return fmt.Sprint(w.Code, " ", w.Header().Get(httpx.VersionHeader))
		}
		tester := http.Header{"X-Tester": {"yes"}, "X-Gray-Lane": {name}} // the lane is taken off
		answers := func(header http.Header, want string) func() bool {
			return func() bool { return send(header) == want }
		}
		var took []time.Duration
		follows := func(published time.Time, what string, happens func() bool) {
			require.Eventually(t, happens, patience, time.Millisecond, what)
			took = append(took, time.Since(published))
			figure(t, "%s: the first request %v after the publish's answer", what, took[len(took)-1].Round(time.Millisecond))
		}
		view, err := r.View(r.Service(s.service), "http")
		require.NoError(t, err)
		defer view.Close()
		require.Eventually(t, func() bool {
			state := view.State()
			return state != nil && state.Rules != nil && state.Snapshot.Len() == 2
		}, patience, time.Millisecond)
		require.Eventually(t, answers(nil, "200 v1"), patience, time.Millisecond)
		require.Equal(t, "200 v1", send(tester))

		at := s.say(config.GlobalDocID, fmt.Sprintf(
			"gray: v1\nlanes: {%s: {match: {version: v2}}}\nenter: [{name: testers, when: {header.x-tester: \"yes\"}, lane: %s}]\n", name, name))
		follows(at, "a lane that is declared, and entered at the edge", answers(tester, "200 v2"))
		for range 100 {
			require.Equal(t, "200 v2", send(tester))
			require.Equal(t, "200 v1", send(nil))
			require.Equal(t, "200 v1", send(http.Header{"X-Gray-Lane": {name}}), "nobody else gets in")
		}

		at = s.say(config.GlobalDocID, fmt.Sprintf("gray: v1\nlanes: {%s: {match: {version: v3}, missing: fail}}\nenter: [{name: testers, when: {header.x-tester: \"yes\"}, lane: %s}]\n", name, name))
		follows(at, "a lane without instances that must not be left", answers(tester, "503 "))
		s.say(config.GlobalDocID, "gray: v1\nlanes: {a: {mach: {b: c}}}\n")
		require.Equal(t, "503 ", send(tester), "a bad document leaves the last good one")
		at = s.say(config.GlobalDocID, "gray: v1\n")
		follows(at, "no lane any more", answers(tester, "200 v1"))

		says := func(header http.Header, want string) func() bool {
			return func() bool { send(header); return said == want }
		}
		require.True(t, says(nil, "none")())
		at = s.say(config.SwitchesDocID(s.service),
			"gray: v1\nswitches: {color: {value: red, rules: [{name: staff, when: {header.x-user-type: staff}, value: green}]}}\n")
		follows(at, "a switch", says(nil, "red"))
		assert.Less(t, percentile(took, 50), 2*time.Second, "%v", took) // the machine may stand still once
		require.True(t, says(http.Header{"X-User-Type": {"staff"}}, "green")())
		assert.Equal(t, "green", switches.String(lane.WithHeader(t.Context(), "x-user-type", "staff"), "color", ""))
		require.NoError(t, client.Close())
		require.NoError(t, switches.Ready(t.Context()), "what is known stays")
		_, err = r.Switches(s.service)
		require.ErrorIs(t, err, resolver.ErrClosed)
	})
}
