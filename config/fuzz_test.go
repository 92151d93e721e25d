package config

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wellFormed checks what holds for the problems of any document.
func wellFormed(t *testing.T, content []byte, accepted bool, problems, again Problems) {
	t.Helper()
	require.Equal(t, accepted, problems.Err() == nil, "%v", problems)
	require.Equal(t, problems, again, "the same every time")
	for _, p := range problems {
		require.Positive(t, p.Line)
		require.Positive(t, p.Col)
		require.LessOrEqual(t, p.Line, bytes.Count(content, []byte("\n"))+strings.Count(string(content), "\r")+
			strings.Count(string(content), "\u0085")+strings.Count(string(content), "\u2028")+strings.Count(string(content), "\u2029")+2)
		require.NotEmpty(t, p.Message)
		require.Less(t, len(p.Message), 300)
		p.Excerpt(content)
	}
}

// hostileRequests ask for whatever a document may ask for.
func hostileRequests() []request {
	long := strings.Repeat("x", MaxValue+1)
	return []request{
		{},
		{headers: map[string]string{"x-tag": "a=1,b=2", "x-a": "1"}, cookies: map[string]string{"a": "1"}, query: map[string]string{"a": "1"}, path: "/a", method: "GET", user: "u", lane: "blue"},
		{headers: map[string]string{"x-tag": "a=", "x-a": long}, path: long, user: long, lane: "-"},
	}
}

func FuzzParseGlobal(f *testing.F) {
	f.Add([]byte("gray: v1\nlanes:\n  canary: {match: {lane: canary}, missing: fail}\nenter:\n- {name: t, when: {header.x-a: \"1\"}, lane: canary}\n- {name: five, sticky: user, lane: {canary: 5%, b: 95%}}\n"))
	f.Add([]byte("gray: v1\nenter:\n- {name: a, lane: {a: 50%, b: 51%}}\n- {name: a, lanes: b}\n"))
	f.Add([]byte("gray: v1\nlanes: {a: {match: {}}, '-': {mising: fail}}\nx-a: &b 1\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		g, problems := ParseGlobal("f", content)
		_, again := ParseGlobal("f", content)
		wellFormed(t, content, g != nil, problems, again)
		if g == nil {
			return
		}
		for i := range g.Enter {
			r := &g.Enter[i]
			require.Nil(t, r.By)
			require.True(t, r.Split || len(r.To) == 1)
			for _, req := range hostileRequests() {
				l := NewLookup(req, nil)
				require.Equal(t, r.When.Why(&l) == "", r.When.Holds(&l))
			}
		}
		for _, l := range g.Lanes {
			require.True(t, l.Match == nil || len(l.Match) > 0)
		}
	})
}

func FuzzParseSwitches(f *testing.F) {
	f.Add([]byte("gray: v1\nswitches:\n  a.b:\n    value: false\n    rules:\n    - {name: s, when: {header.x-a: \"1\"}, value: true}\n    - {name: ten, sticky: user, share: 10%, value: true}\n"))
	f.Add([]byte("gray: v1\nswitches: {n: {value: 1e3}, s: {value: text, rules: [{name: a, value: 1}]}}\n"))
	f.Add([]byte("gray: v1\nswitches: {a: {value: 007}, b: {value: .inf}, c: {valu: 1}, d: [1]}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, problems := ParseSwitches("f", content)
		_, again := ParseSwitches("f", content)
		wellFormed(t, content, s != nil, problems, again)
		if s == nil {
			return
		}
		for name, sw := range s.byName {
			require.True(t, ValidName(name))
			for _, req := range hostileRequests() {
				require.Equal(t, sw.value.kind, sw.Value(req, nil).kind, "a switch has one type")
			}
		}
	})
}

// all asks for everything, each by a rule of its own.
const all = `
gray: v1
default: v1
rules:
- {name: a, when: {header.x-a: ["1", "2"], tag.a: {exists: true}}, to: v2}
- {name: b, when: [{header.x-a: {prefix: a}}, {tag.b: {suffix: b}}], unless: {user: {regex: "q.*"}}, to: v2}
- {name: c, when: {header.x-a: {range: [-1.5, 20]}, lane: {not: blue}}, to: v2}
- {name: d, when: {path: {regex: "/[a-z]*"}, query.a: {not: ["1"]}, cookie.a: {exists: false}}, to: v2}
- {name: e, by: tag.version}
- {name: f, to: {v2: 10%}, sticky: user}
`

func FuzzLookup(f *testing.F) {
	f.Add("1", "a=1,b=2", "u", "blue")
	f.Add("-1.50", " version=v2 , a=b=c", "qa", "-x")
	f.Add(strings.Repeat("1", MaxValue+1), strings.Repeat("a=1,", 300), "\xff", strings.Repeat("l", 65))
	rules, problems := ParseRules("f", "order", []byte(all))
	require.NoError(f, problems.Err())
	f.Fuzz(func(t *testing.T, header, tags, user, lane string) {
		req := request{headers: map[string]string{"x-a": header, "x-tag": tags}, path: header, user: user, lane: lane}
		l := NewLookup(req, nil)
		for i := range rules.Rules {
			r := &rules.Rules[i]
			fresh := NewLookup(req, nil)
			assert.Equal(t, r.When.Holds(&fresh), r.When.Holds(&l), "what is remembered is what is read")
			assert.Equal(t, r.When.Holds(&l), r.When.Why(&l) == "")
			for field := range r.fields() {
				remembered, ok := l.Value(field)
				once, present := fresh.Once(field)
				assert.Equal(t, present, ok)
				if present {
					assert.Equal(t, once, remembered)
					assert.LessOrEqual(t, len(once), MaxValue)
				}
			}
			if r.Sticky != nil {
				slot := Slot(r.Salt, user)
				assert.True(t, slot >= 0 && slot < Slots)
			}
		}
	})
}
