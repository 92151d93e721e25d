package debug

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

const splitRules = `gray: v1
default: v1
rules:
- name: testers
  when: {header.x-tester: "yes", path: {prefix: /}}
  unless: {user: {regex: "bot.*"}}
  to: v2
- {name: asked-for, by: header.x-gray-version, missing: fail}
- {name: canary, to: {v2: 10%, v3: 20.5%}, sticky: user}
- {name: later, enabled: false, to: v3}
isolate: ["10.0.0.6:80"]
prefer: [zone]
guard: {errors: 30%, failures: 5, hold: 20s}
limits: {v2: {timeout: 800ms, retries: 1}}
balance: least
`

func fleet() []registry.Instance {
	weak, sick := at("10.0.0.7:80", "v1"), at("10.0.0.4:80", "v2")
	weak.Weight, sick.Healthy = 0, false
	return []registry.Instance{
		at("10.0.0.1:80", "v1", "zone=a"), at("10.0.0.2:80", "v1", "zone=b"), at("10.0.0.3:80", "v2"),
		sick, at("10.0.0.5:80", "v3"), at("10.0.0.6:80", "v3"), weak, at("10.0.0.8:80", "v1", "lane=blue"),
	}
}

func TestTheFirstPageCountsInstancesByVersionAndState(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		s.send(t, 30, http.StatusOK, "X-User-Id: u1")
		s.send(t, 2, http.StatusOK, "X-Gray-Version: no name")
		o := read[overview](t, s, "/")
		require.Len(t, o.Services, 1)
		got := o.Services[0]
		assert.Equal(t, "public/DEFAULT_GROUP/order over http", got.View)
		assert.Equal(t, []string{"order", "http"}, []string{got.Name, got.Protocol})
		assert.Equal(t, map[string]int{"usable": 5, "unhealthy": 1, "isolated": 1, "weightless": 1}, got.States)
		assert.Equal(t, 8, got.Instances)
		assert.EqualValues(t, 30, got.Picks)
		assert.Equal(t, map[string]uint64{"unknown_target": 2}, got.Refusals)
		assert.Equal(t, s.view.State().Revision(), got.RulesMD5)
		assert.EqualValues(t, 1, got.ListRevision)
		require.Len(t, got.Versions, 3)
		assert.Equal(t, "v2", got.Versions[1].Version)
		assert.Equal(t, map[string]int{"usable": 1, "unhealthy": 1}, got.Versions[1].States)
		assert.Equal(t, []string{"requests without an instance in the last minute: 2 unknown_target"}, got.Warnings)
		assert.Empty(t, o.Said)

		html := s.get(t, "/")
		for _, want := range []string{`<a href="service?view=public%2FDEFAULT_GROUP%2Forder&#43;over&#43;http">order</a>`, "1 unhealthy", "Nothing went wrong."} {
			assert.Contains(t, strings.ReplaceAll(html, "+", "&#43;"), want)
		}

		s.view.Close()
		synctest.Wait()
		assert.Empty(t, read[overview](t, s, "/").Services, "of what is over nothing is said")
		assert.Contains(t, s.get(t, "/"), "No service yet")
		assert.Empty(t, *s.views.all.Load(), "nor is it kept")
	})
}

func TestTheActualSplitStandsBesideTheConfigured(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		assert.Regexp(t, `(?s)rect class="c1" x="0" width="10".*rect class="c2" x="10" width="20.5".*rect class="c0" x="30.5" width="69.5"`,
			s.get(t, orderPage), "before any request, too")
		for i := range 200 {
			s.send(t, 1, http.StatusOK, fmt.Sprintf("X-User-Id: u%d", i))
		}
		s.send(t, 7, http.StatusOK, "X-Tester: yes")
		s.send(t, 3, http.StatusOK, "X-Gray-Version: v2")
		p := read[servicePage](t, s, orderPage)
		byName := map[string]ways{}
		for _, w := range p.Routes {
			byName[w.Rule] = w
		}
		canary := byName["canary"]
		require.Len(t, canary.Arms, 3)
		assert.Equal(t, []string{"v2", "v3", "v1"}, []string{canary.Arms[0].Target, canary.Arms[1].Target, canary.Arms[2].Target})
		assert.InDeltaSlice(t, []float64{.1, .205, .695}, []float64{canary.Arms[0].Configured, canary.Arms[1].Configured, canary.Arms[2].Configured}, 1e-9)
		assert.EqualValues(t, 200, canary.Picks)
		for _, a := range canary.Arms {
			assert.InDelta(t, a.Configured, a.Actual, .08)
		}
		assert.Equal(t, "by user, salt order/canary", canary.Split)
		assert.Equal(t, []arm{{Target: "v2", Configured: 1, Actual: 1, Picks: 7}}, byName["testers"].Arms)
		assert.Equal(t, `header.x-tester is "yes" and path is beginning with "/" unless user is matching "bot.*"`, byName["testers"].When)
		assert.Equal(t, []arm{{Target: "v2", Actual: 1, Picks: 3}}, byName["asked-for"].Arms)
		assert.False(t, byName["later"].Enabled)

		policy := map[string]string{}
		for _, f := range p.Policy {
			policy[f.Name] = f.Text
		}
		assert.Equal(t, map[string]string{
			"default": "v1", "isolate": "10.0.0.6:80", "prefer": "zone", "balance": "least",
			"guard":        "more than 30 % errors over 30s, of at least 50 requests, or 5 failures in a row: withdrawn for 20s",
			"limits of v2": "timeout 800ms, retries 1",
		}, policy)

		html := s.get(t, orderPage)
		assert.Contains(t, html, `aria-label="configured: v2 10 %, v3 20.5 %, v1 69.5 %"`)

		time.Sleep(time.Minute + slotTime) //nolint:forbidigo // fake time
		for _, w := range read[servicePage](t, s, orderPage).Routes {
			assert.Zero(t, w.Picks, w.Rule)
		}
	})
}

func TestCountsGoOnWhenAStateIsReplaced(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		s.send(t, 10, http.StatusOK, "X-Tester: yes")
		s.docs.say(rulesID, strings.Replace(splitRules, "10%", "12%", 1))
		synctest.Wait()
		s.Set(order, append(fleet(), at("10.0.0.9:80", "v4"))...)
		synctest.Wait()
		s.send(t, 5, http.StatusOK, "X-Tester: yes")
		p := read[servicePage](t, s, orderPage)
		assert.EqualValues(t, 2, p.ListRevision)
		assert.EqualValues(t, 15, p.Routes[0].Picks)
		assert.EqualValues(t, 15, p.Picks)

		s.docs.say(rulesID, "gray: v1\ndefault: v1\nenabled: false")
		synctest.Wait()
		s.send(t, 4, http.StatusOK)
		p = read[servicePage](t, s, orderPage)
		require.Len(t, p.Routes, 1)
		assert.Equal(t, []string{"off", "the document says enabled: false"}, []string{p.Routes[0].Via, p.Routes[0].When})
		assert.EqualValues(t, 4, p.Routes[0].Picks)
	})
}

func TestARetryIsAnAttemptAndNoRequestOfItsOwn(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		c, err := s.view.Pick(t.Context(), request(t, "X-Tester: yes"), nil)
		require.NoError(t, err)
		c.Done(t.Context(), resolver.Outcome{Status: http.StatusBadGateway})
		c, err = c.Next(t.Context(), nil)
		require.NoError(t, err)
		c.Done(t.Context(), resolver.Outcome{Err: context.Canceled})
		p := read[servicePage](t, s, orderPage)
		assert.EqualValues(t, 2, p.Picks)
		assert.EqualValues(t, 1, p.Routes[0].Picks)
		got := read[decisionsPage](t, s, "/decisions").Decisions
		require.Len(t, got, 2)
		assert.Equal(t, []any{2, "nothing", 1, "bad"}, []any{got[0].Attempt, got[0].Result, got[1].Attempt, got[1].Result})
	})
}

func TestWithoutADocumentTheHeaderAndLanesAreCounted(t *testing.T) {
	within(t, "", fleet(), func(s *scene) {
		t := s.t
		s.send(t, 6, http.StatusOK, "X-Gray-Version: v2")
		s.send(t, 2, http.StatusOK, "X-Gray-Version: v99")
		s.send(t, 1, http.StatusOK)
		p := read[servicePage](t, s, orderPage)
		require.Len(t, p.Routes, 2)
		assert.Equal(t, []arm{{Target: "", Actual: .25, Picks: 2}, {Target: "v2", Actual: .75, Picks: 6}}, sorted(p.Routes[0].Arms))
		assert.EqualValues(t, 2, p.Routes[0].Fell)
		assert.EqualValues(t, 1, p.Routes[1].Picks)
		assert.Equal(t, "none", p.Rules.Source)
		assert.Contains(t, p.Warnings[0], "several versions serve, since no document names a default: publish gray.order.yaml")
		assert.Contains(t, s.get(t, orderPage), "all versions")
	})
}

func sorted(arms []arm) []arm {
	if len(arms) == 2 && arms[0].Target > arms[1].Target {
		arms[0], arms[1] = arms[1], arms[0]
	}
	return arms
}

func TestARefusedDocumentIsShownWithItsPlaces(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		good := s.view.State().Revision()
		s.docs.say(rulesID, "gray: v1\ndefault: v1\nrules:\n- {name: a, to: {v2: 150%}}\n")
		synctest.Wait()
		p := read[servicePage](t, s, orderPage)
		assert.Equal(t, good, p.Rules.MD5)
		assert.NotEmpty(t, p.Rules.Refused)
		require.Len(t, p.Rules.Problems, 1)
		assert.Equal(t, []any{4, "error"}, []any{p.Rules.Problems[0].Line, p.Rules.Problems[0].Severity})
		assert.Equal(t, "document gray.order.yaml is refused: the last good one stays in force", p.Warnings[0])
		assert.Contains(t, p.Rules.Problems[0].Excerpt, "- {name: a, to: {v2: 150%}}\n")
		html := s.get(t, orderPage)
		assert.Contains(t, html, "- {name: a, to: {v2: 150%}}\n")
		assert.Contains(t, html, fmt.Sprintf("line 4, column %d</span> <code>%s</code>", p.Rules.Problems[0].Col, p.Rules.Problems[0].Code))
		assert.Contains(t, html, "In force is the last good one, <code title=\""+good)

		o := read[overview](t, s, "/")
		require.Len(t, o.Said, 1)
		assert.Contains(t, o.Said[0].Text, "is refused")

		s.docs.say(rulesID, "gray: v1\ndefault: v1\n"+"rules:\n"+strings.Repeat("- {name: 'a b', to: v2}\n", maxProblems+2))
		synctest.Wait()
		p = read[servicePage](t, s, orderPage)
		assert.Equal(t, []int{maxProblems, 2}, []int{len(p.Rules.Problems), p.Rules.More})
		assert.Contains(t, s.get(t, orderPage), "and 2 problems more")

		s.docs.say(rulesID, "")
		synctest.Wait()
		p = read[servicePage](t, s, orderPage)
		assert.True(t, p.Rules.Gone)
		assert.Equal(t, "document gray.order.yaml is gone: the last good one stays in force", p.Warnings[0])
		assert.Contains(t, s.get(t, orderPage), "where it is gone now")
	})
}

func TestWhatProtectsRequestsIsWarnedOf(t *testing.T) {
	within(t, "gray: v1\ndefault: v1\nrules: [{name: a, when: {header.x-a: a}, to: v2}]\nguard: {failures: 3, hold: 1m}\n", fleet(), func(s *scene) {
		t := s.t
		s.docs.synced = time.Now()
		s.send(t, 3, http.StatusServiceUnavailable, "X-A: a")
		s.send(t, 60, http.StatusBadGateway)
		warnings := func() string {
			return strings.Join(read[servicePage](t, s, orderPage).Warnings, "\n")
		}
		assert.Contains(t, warnings(), "the guard keeps requests from v2: they go to the default")
		assert.Regexp(t, `\d instances? ejected`, warnings())
		assert.NotContains(t, warnings(), "may be old")
		said := read[overview](t, s, "/").Said
		require.NotEmpty(t, said)
		assert.Contains(t, fmt.Sprint(said), "target withdrawn v2: http status 503")
		assert.Contains(t, fmt.Sprint(said), "instance ejected 10.0.0.")

		s.hangs.Store(true)
		s.Set(order)
		synctest.Wait()
		assert.Contains(t, warnings(), "in use that the registry does not list any more")
		assert.Contains(t, s.get(t, orderPage), `<span class="state held">held</span>`)

		time.Sleep(20 * time.Second) //nolint:forbidigo // fake time
		assert.Contains(t, warnings(), "the rules may be old: they were confirmed last 20 s ago")
		time.Sleep(time.Hour) //nolint:forbidigo // fake time
		assert.Contains(t, warnings(), "the default has no usable instance")
	})
}

func TestInstancesAreSearchedAndPaged(t *testing.T) {
	var list []registry.Instance
	for i := range 450 {
		in := at(fmt.Sprintf("10.0.%d.%d:80", i/200, i%200), "v1", fmt.Sprintf("zone=z%d", i%3))
		in.Healthy = i != 300
		list = append(list, in)
	}
	within(t, "gray: v1\ndefault: v1\n", list, func(s *scene) {
		t := s.t
		p := read[servicePage](t, s, orderPage)
		assert.Equal(t, []int{450, 450, 1, 3, 200}, []int{p.Instances, p.Matches, p.Page, p.Pages, len(p.Found)})
		assert.Equal(t, "unhealthy", p.Found[0].State, "who is not usable comes first")
		p = read[servicePage](t, s, orderPage+"&page=3")
		assert.Len(t, p.Found, 50)
		p = read[servicePage](t, s, orderPage+"&page=99")
		assert.Equal(t, 3, p.Page)
		p = read[servicePage](t, s, orderPage+"&q=ZONE%3Dz1")
		assert.Equal(t, []int{450, 150, 1}, []int{p.Instances, p.Matches, p.Pages})
		assert.Equal(t, map[string]int{"usable": 449, "unhealthy": 1}, p.States, "counts are whole")
		assert.Len(t, read[servicePage](t, s, orderPage+"&q=unhealthy").Found, 1)
		assert.Len(t, read[servicePage](t, s, orderPage+"&q=10.0.2.7:").Found, 1)

		html := s.get(t, orderPage+"&q=zone%3D&page=2")
		assert.Contains(t, html, "450 of 450 instances match; page 2 of 3")
		assert.Contains(t, html, `href="service?page=1&amp;q=zone%3D&amp;view=`)
		assert.Contains(t, s.get(t, orderPage+"&q=nothing"), "0 of 450 instances match")
	})
}

func TestSettingsAreShownWithWhoGaveThem(t *testing.T) {
	p := New(WithSettings(func() []Setting { return []Setting{{"servers", "127.0.0.1:8848", "NACOS_ADDR"}} }))
	assert.Equal(t, settingsPage{Known: true, Settings: []setting{{"servers", "127.0.0.1:8848", "NACOS_ADDR"}}}, read[settingsPage](t, p, "/settings"))
	assert.Contains(t, text(ask(p, http.MethodGet, "/settings")), `<code>127.0.0.1:8848</code></td><td data-label="from">NACOS_ADDR`)
	assert.Contains(t, text(ask(New(), http.MethodGet, "/settings")), "debug.WithSettings")
}

func TestAPageCanLoadItselfAgain(t *testing.T) {
	body := text(ask(New(), http.MethodGet, "/decisions?refresh=5"))
	assert.Contains(t, body, `<meta http-equiv="refresh" content="5">`)
	assert.Contains(t, body, `href="?">every 5 s`)
	body = text(ask(New(), http.MethodGet, "/decisions"))
	assert.NotContains(t, body, "http-equiv")
	assert.Contains(t, body, `href="?refresh=5"`)
	for _, odd := range []string{"-1", "x", "0"} {
		assert.NotContains(t, text(ask(New(), http.MethodGet, "/?refresh="+odd)), "http-equiv")
	}
}

func TestWhatIsNotThereSaysWhereToGo(t *testing.T) {
	for path, want := range map[string]string{
		"/service?view=x": "there is no service", "/service": "which service?", "/nothing": "there is no page",
		"/explain?view=x&path=/": "there is no service",
	} {
		r := ask(New(), http.MethodGet, path)
		assert.Equal(t, http.StatusNotFound, r.Code)
		assert.Contains(t, text(r), want)
		r = ask(New(), http.MethodGet, path, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
		assert.Contains(t, text(r), `"error":"`+want)
	}
}
