package config

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wellFormed checks what holds for the problems of any document.
func wellFormed(t *testing.T, content []byte, known []string, accepted bool, problems, again Problems) {
	t.Helper()
	require.Equal(t, accepted, problems.Err() == nil, "%v", problems)
	require.Equal(t, problems, again, "the same every time")
	require.True(t, slices.IsSortedFunc(problems, func(a, b Problem) int {
		return placeAt(a.Line, a.Col).compare(placeAt(b.Line, b.Col))
	}), "%v", problems)
	var widths []int // of the lines
	if len(content) <= MaxDocument {
		for line := range lines(toUTF8(content)) {
			widths = append(widths, utf8.RuneCount(line))
		}
	}
	for _, p := range problems {
		require.Positive(t, p.Line, p)
		require.Positive(t, p.Col, p)
		require.LessOrEqual(t, p.Line, len(widths)+1, p)
		if p.Line <= len(widths) {
			require.LessOrEqual(t, p.Col, widths[p.Line-1]+1, p)
		}
		require.Contains(t, known, p.Code)
		require.NotEmpty(t, p.Message)
		require.Less(t, len(p.Message), maxMessage, p.Message)
		require.True(t, utf8.ValidString(p.Excerpt(content)))
		Problem{Line: p.Col, Col: p.Line}.Excerpt(content) // a place that may not be there
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

func FuzzParseRules(f *testing.F) {
	f.Add([]byte("gray: v1\ndefault: v1\ntargets: {v1: {version: v1}}\nbalance: {hash: user}\n"))
	f.Add([]byte(rule("name: a", "when: [{user: [a, b]}, {path: {regex: a+}}]", "unless: {tag.a: {range: [1, 2]}}", "to: {v2: 10%, v3: 5%}", "sticky: user")))
	f.Add([]byte("{\"gray\":\"v1\",\"default\":\"v1\",\"rules\":[{\"name\":\"a\",\"to\":{\"v2\":\"10%\"}}]}"))
	f.Add([]byte("&a gray: !b v1\n? [x]\n: *a\n<<: {}\n%\n---\n\xef\xbb\xbf\xff"))
	f.Add([]byte("gray: v1\ndefault: v1\nisolate: ['[::1%a]:80', 10.0.0.7:0]\nprefer: [a, a]\nprefer_min: 1\ndegrade: any\nguard: {errors: 1%, over: 1h}\nlimits: {v2: {timeout: 1s, retries: 9}}\nneeds: [a]\n"))
	f.Add([]byte("\xff\xfeg\x00:\x00 \x00!\x00\r\x00\xa9\x20"))
	known := codes(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		rules, problems := ParseRules("f", "order", content)
		_, again := ParseRules("f", "order", content)
		wellFormed(t, content, known, rules != nil, problems, again)
		if rules == nil {
			return
		}
		require.NotEmpty(t, rules.Default)
		for i := range rules.Rules {
			r := &rules.Rules[i]
			require.NotEqual(t, r.By == nil, len(r.To) == 0 && !r.Split)
			eachSlotHasOneArm(t, r)
			holdsAsWhySays(t, &r.When)
		}
		for addr := range rules.Isolate {
			require.True(t, rules.Isolated(addr.String()))
		}
	})
}

func eachSlotHasOneArm(t *testing.T, r *Rule) {
	t.Helper()
	covered := 0
	for slot := range Slots {
		if arm := r.Arm(slot); arm >= 0 {
			require.NotEmpty(t, r.To[arm].Target)
			covered++
		}
	}
	for _, a := range r.To {
		require.LessOrEqual(t, a.From, a.To)
		covered -= a.To - a.From
	}
	require.Zero(t, covered, "each slot has one arm")
}

func holdsAsWhySays(t *testing.T, c *Condition) {
	t.Helper()
	for _, r := range hostileRequests() {
		l := NewLookup(r, map[string]string{"service": "order", "a": "1"})
		require.Equal(t, c.Why(&l) == "", c.Holds(&l))
	}
}

func FuzzParseGlobal(f *testing.F) {
	f.Add([]byte("gray: v1\nlanes:\n  canary: {match: {lane: canary}, missing: fail}\nenter:\n- {name: t, when: {header.x-a: \"1\"}, lane: canary}\n- {name: five, sticky: user, lane: {canary: 5%, b: 95%}}\n"))
	f.Add([]byte("gray: v1\nenter:\n- {name: a, lane: {a: 50%, b: 51%}}\n- {name: a, lanes: b}\n"))
	f.Add([]byte("gray: v1\nlanes: {a: {match: {}}, '-': {mising: fail}}\nx-a: &b 1\n"))
	known := codes(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		g, problems := ParseGlobal("f", content)
		_, again := ParseGlobal("f", content)
		wellFormed(t, content, known, g != nil, problems, again)
		if g == nil {
			return
		}
		for i := range g.Enter {
			r := &g.Enter[i]
			require.Nil(t, r.By)
			require.True(t, r.Split || len(r.To) == 1)
			eachSlotHasOneArm(t, r)
			holdsAsWhySays(t, &r.When)
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
	known := codes(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		s, problems := ParseSwitches("f", content)
		_, again := ParseSwitches("f", content)
		wellFormed(t, content, known, s != nil, problems, again)
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

// all asks for everything: each test of each field, and each way to a target.
const all = `
gray: v1
default: v1
balance: {hash: header.x-a}
rules:
- {name: a, when: {header.x-a: ["1", "2"], tag.a: {exists: true}}, to: v2}
- {name: b, when: [{header.x-a: {prefix: a}}, {tag.b: {suffix: b}}], unless: {user: {regex: "q.*"}}, to: v2}
- {name: c, when: {header.x-a: {range: [-1.5, 20]}, lane: {not: blue}}, to: v2}
- {name: d, when: {path: {regex: "/[a-z]*"}, query.a: {not: ["1"]}, cookie.a: {exists: false}}, to: v2}
- {name: e, when: [{tag.a: {range: [1, 2]}}, {tag.a: {regex: "(a|ab)*c"}}, {method: {prefix: a}, caller.a: {suffix: b}}], by: tag.version}
- {name: f, to: {v2: 10%}, sticky: user}
- {name: g, to: {v2: 10%, v3: 90%}, sticky: tag.a}
- {name: h, by: header.x-a}
- {name: i, to: {v2: 10%}, sticky: lane}
`

func FuzzLookup(f *testing.F) {
	f.Add("1", "a=1,b=2", "u", "blue")
	f.Add("-1.50", " version=v2 , a=b=c", "qa", "-x")
	f.Add("1e3", "a=1,a=1", "q\x00", "blue.")
	f.Add(strings.Repeat("1", MaxValue+1), strings.Repeat("a=1,", 300), "\xff", strings.Repeat("l", 65))
	rules := accept(f, all)
	f.Fuzz(func(t *testing.T, header, tags, user, lane string) {
		const limit = 2 * MaxValue
		if len(header) > limit || len(tags) > limit || len(user) > limit || len(lane) > limit {
			return
		}
		req := request{
			headers: map[string]string{"x-a": header, "x-tag": tags}, cookies: map[string]string{"a": tags}, query: map[string]string{"a": user},
			path: header, method: tags, user: user, lane: lane,
		}
		caller := map[string]string{"a": user}
		l := NewLookup(req, caller)
		for i := range rules.Rules {
			r := &rules.Rules[i]
			fresh := NewLookup(req, caller)
			assert.Equal(t, r.When.Holds(&fresh), r.When.Holds(&l), "what is remembered is what is read")
			assert.Equal(t, r.When.Holds(&l), r.When.Why(&l) == "")
			for field := range r.fields() {
				remembered, ok := l.Value(field)
				once, present := fresh.Once(field)
				read, there := field.Value(req, caller)
				assert.Equal(t, present, ok)
				assert.Equal(t, there, ok)
				if ok {
					assert.Equal(t, once, remembered)
					assert.Equal(t, read, remembered)
					assert.LessOrEqual(t, len(once), MaxValue)
				}
			}
			if key, ok := l.Value(orUser(r.Sticky)); ok {
				slot := Slot(r.Salt, key)
				assert.True(t, slot >= 0 && slot < Slots)
				arm := r.Arm(slot)
				assert.True(t, arm < 0 || r.To[arm].From <= slot && slot < r.To[arm].To)
			}
		}
		if v, ok := l.Value(rules.Rules[8].Sticky); ok {
			assert.True(t, ValidName(v), "another lane is none")
		}
	})
}

func orUser(f *Field) *Field {
	if f == nil {
		return &Field{kind: fieldUser}
	}
	return f
}
