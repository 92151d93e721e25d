package reference

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheSlotsThatTheTextNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 2609, hashed("order/ten-percent", "u1"))
	assert.Equal(t, 2770, hashed("盐", "u2"))
}

const firstDocument = `
gray: v1
service: order
default: v1
targets:
  v1: {version: v1}
  v2: {version: v2, env: gray}
rules:
- name: testers
  when: {header.x-tester: "yes", user: {regex: "qa-[0-9]+"}}
  unless: {path: {prefix: /pay}}
  to: v2
- name: asked-for
  by: header.x-gray-version
  missing: fail
- name: ten-percent
  to: {v2: 10%}
  sticky: user
isolate: ["10.0.0.7:8080"]
prefer: [region, zone]
`

// TestTheDocumentThatTheTextBeginsWith goes through the rules of the first
// document of the text.
func TestTheDocumentThatTheTextBeginsWith(t *testing.T) {
	t.Parallel()
	doc := readDocument(t, firstDocument)
	instance := func(addr, version, env, region string) Instance {
		return Instance{
			Addr: addr, Weight: 1, Healthy: true, Enabled: true,
			Metadata: map[string]string{"version": version, "env": env, "region": region},
		}
	}
	const one, two = "10.0.0.1:8080", "10.0.0.2:8080"
	instances := []Instance{
		instance(one, "v1", "", "sh"), instance(two, "v2", "gray", "bj"), instance("10.0.0.7:8080", "v1", "", "sh"),
	}
	headers := func(pairs ...string) map[string][]string {
		m := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = []string{pairs[i+1]}
		}
		return m
	}
	none := []string{}
	for name, c := range map[string]struct {
		req  Request
		want Answer
	}{
		"a tester": {
			Request{Headers: headers("X-Tester", "yes"), User: "qa-7", Path: "/a"},
			Answer{"rule", "testers", -1, "v2", "", none, []string{two}, ""},
		},
		"a tester who pays, with no slot below 1000": {
			Request{Headers: headers("X-Tester", "yes", "x-user-id", "qa-1"), Path: "/pay/a"},
			Answer{"rule", "ten-percent", hashed("order/ten-percent", "qa-1"), "v1", "", none, []string{one}, ""},
		},
		"who asks for v2, from a region without it": {
			Request{Headers: headers("x-gray-version", "v2"), Caller: map[string]string{"region": "sh"}},
			Answer{"rule", "asked-for", -1, "v2", "", []string{"region"}, []string{two}, ""},
		},
		"who asks for what nobody declared": {
			Request{Headers: headers("x-gray-version", "v3")},
			Answer{"rule", "asked-for", -1, "", "", none, none, UnknownTarget},
		},
		"nobody": {Request{}, Answer{"rule", "ten-percent", -1, "v1", "", none, []string{one}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, Decide(doc, nil, "order", "", instances, c.req))
		})
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		"k=v":            {"k": "v"},
		" k=v , k2=a=b ": {"k": "v", "k2": "a=b"},
		"k= v":           {"k": " v"},
		"k =v":           nil,
		"\tk=v":          nil,
		"k=v,":           nil,
		"k=v,k=v":        nil,
		"k=":             nil,
		"":               nil,
	} {
		got := tags(Request{Headers: map[string][]string{"X-Tag": {text}}})
		assert.Equal(t, want, got, "%q", text)
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	within := Test{Range, []string{"-0.5", "2.10"}}
	for text, want := range map[string]bool{
		"2.1": true, "2.100": true, "02.1": true, "2.1000000000000000000001": false, "-0.50": true, "-0.51": false,
		"-0": true, "2.": false, ".5": false, "+1": false, "1e0": false, "1\n": false, "": false,
	} {
		assert.Equal(t, want, within.holds(text, true), "%q", text)
	}
	assert.False(t, within.holds("1", false))
}
