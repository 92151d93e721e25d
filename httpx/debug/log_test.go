package debug

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestDecisionsKeepNothingOfTheirRequests(t *testing.T) {
	within(t, splitRules, fleet(), func(s *scene) {
		t := s.t
		s.send(t, 150, http.StatusOK, "X-User-Id: secret-user", "X-Secret: secret-header")
		s.send(t, 1, http.StatusOK, "X-Gray-Version: secret!")
		got := read[decisionsPage](t, s, "/decisions").Decisions
		require.Len(t, got, 100)
		assert.Equal(t, []string{"unknown_target", "rule", "asked-for", ""}, []string{got[0].Result, got[0].Via, got[0].Rule, got[0].Addr})
		last := got[1]
		assert.Equal(t, []string{"good", "rule", "canary", order.String(), "http"}, []string{last.Result, last.Via, last.Rule, last.Service, last.Protocol})
		assert.Equal(t, s.view.State().Revision(), last.RulesMD5)
		assert.EqualValues(t, 1, last.ListRevision)
		assert.Equal(t, 1, last.Attempt)
		assert.Positive(t, last.Slot)
		assert.NotEmpty(t, last.Addr)
		for _, page := range []string{"/", "/decisions", orderPage, "/decisions?format=json"} {
			assert.NotContains(t, text(ask(s, http.MethodGet, page)), "secret", page)
		}
	})
}

// TestDecisionsKeepNoTargetThatARequestHasMadeUp: without declared targets any version may
// be asked for.
func TestDecisionsKeepNoTargetThatARequestHasMadeUp(t *testing.T) {
	for name, c := range map[string]struct {
		rules, want string
		asked       []string
	}{
		"no document":      {"", "v2", []string{"X-Gray-Version: v2"}},
		"by a rule":        {splitRules, "v2", []string{"X-Gray-Version: v2"}},
		"made up":          {"", "other", []string{"X-Gray-Version: secret"}},
		"made up, refused": {splitRules, "other", []string{"X-Gray-Version: secret"}},
		"the default":      {"gray: v1\ndefault: v9\n", "v9", nil},
		"declared":         {"gray: v1\ndefault: a\ntargets: {a: {version: v1}, b: {version: v9}}\nrules: [{name: r, to: b}]\n", "b", nil},
		"a lane":           {"gray: v1\ndefault: v1\n", "blue", []string{"lane: blue"}},
		"no lane":          {"gray: v1\ndefault: v1\n", "v1", []string{"lane: secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, c.rules, fleet(), func(s *scene) {
				t := s.t
				s.send(t, 1, http.StatusOK, c.asked...)
				got := read[decisionsPage](t, s, "/decisions").Decisions
				require.Len(t, got, 1)
				assert.Equal(t, c.want, got[0].Target)
				for _, page := range []string{"/", "/decisions", orderPage, "/decisions?format=json"} {
					assert.NotContains(t, text(ask(s, http.MethodGet, page)), "secret", page)
				}
			})
		})
	}
}

// TestPortsDoNotCrowdOutOtherMessages: each error of the network has another one.
func TestPortsDoNotCrowdOutOtherMessages(t *testing.T) {
	p := New()
	hooks := p.Hooks()
	hooks.OnEvent(resolver.Event{Kind: resolver.TargetWithdrawn, Service: order, Target: "v2"})
	for i := range 2 * maxSaid {
		err := fmt.Errorf("read tcp 127.0.0.1:%d->10.0.0.1:80: connection reset by peer", 40000+i)
		hooks.OnEvent(resolver.Event{Kind: resolver.InstanceEjected, Service: order, Addr: "10.0.0.1:80", Err: err})
		hooks.OnError(order, err)
	}
	hooks.OnEvent(resolver.Event{Kind: resolver.InstanceEjected, Service: order, Addr: "10.0.0.2:80"})
	hooks.OnEvent(resolver.Event{Kind: resolver.InstanceReturned, Service: order, Addr: "10.0.0.1:80"})
	said := read[overview](t, p, "/").Said
	require.Len(t, said, 5)
	assert.Equal(t, "target withdrawn v2", said[4].Text)
	assert.Equal(t, 2*maxSaid, said[3].Times)
	assert.Contains(t, said[3].Text, "instance ejected 10.0.0.1:80: read tcp 127.0.0.1:40099->", "the newest")
	assert.Equal(t, 2*maxSaid, said[2].Times)
}

func TestTheSameMessageIsKeptOnce(t *testing.T) {
	p := New()
	hooks := p.Hooks()
	for i := range 70 {
		hooks.OnError(order, errors.New("again and again"))
		hooks.OnError(registry.Service{}, errors.New("error "+strings.Repeat("x", i)))
	}
	hooks.OnEvent(resolver.Event{Kind: resolver.ListHeld, Service: order, Instances: 3})
	hooks.OnError(order, errors.New(strings.Repeat("盐", 2000)))
	said := read[overview](t, p, "/").Said
	require.Len(t, said, maxSaid)
	assert.Less(t, len(said[0].Text), maxText+5)
	assert.Equal(t, "list held, 3 instances", said[1].Text)
	assert.Equal(t, "error "+strings.Repeat("x", 69), said[2].Text)
	assert.Equal(t, message{Service: order.String(), Text: "again and again", At: said[3].At, Times: 70}, said[3])
}
