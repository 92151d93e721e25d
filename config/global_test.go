package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func lintGlobal(content string) Problems {
	_, problems := ParseGlobal("f", []byte(content))
	return problems
}

func acceptGlobal(t *testing.T, content string) *Global {
	t.Helper()
	global, problems := ParseGlobal("f", []byte(content))
	require.Empty(t, problems)
	return global
}

func TestProblemsOfTheGlobalDocumentStandWhereTheyAre(t *testing.T) { globalProblems().run(t) }

func globalProblems() table {
	const (
		root  = "gray: v1\n" // what is wrong stands at line 2
		enter = root + "enter:\n"
	)
	return table{lintGlobal, map[string]wrong{
		// The document.
		"smallest":                    {root, nil},
		"empty":                       {"", []string{"1:1 syntax"}},
		"empty map":                   {"{}\n", []string{"1:1 missing-field"}},
		"without a version":           {"lanes: {}\n", []string{"1:1 missing-field"}},
		"another version":             {"gray: v2\nlanes: []\nlanes: {}\n", []string{"1:7 unsupported-version"}},
		"is a list":                   {"- gray: v1\n", []string{"1:1 wrong-type"}},
		"free fields":                 {root + "x-a: [1]\n", nil},
		"a service document's fields": {root + "service: a\ndefault: v1\nrules: []\ntargets: {}\nneeds: []\n", []string{"2:1 unknown-field", "3:1 unknown-field", "4:1 unknown-field", "5:1 unknown-field", "6:1 unknown-field"}},
		"near the known fields":       {root + "lane: {}\nenters: []\n", []string{"2:1 unknown-field", "3:1 unknown-field"}},
		// Lanes.
		"lanes":                   {root + "lanes: {canary-v2: {match: {lane: canary-v2}, missing: baseline}, b: {missing: fail}, c: {}}\n", nil},
		"no lanes":                {root + "lanes: {}\n", nil},
		"lanes without value":     {root + "lanes:\n", []string{"2:7 wrong-type"}},
		"lanes is a list":         {root + "lanes: [a]\n", []string{"2:8 wrong-type"}},
		"lanes is a name":         {root + "lanes: a\n", []string{"2:8 wrong-type"}},
		"lanes with an anchor":    {root + "lanes: &a {}\n", []string{"2:8 anchor"}},
		"a lane without value":    {root + "lanes:\n  a:\n", []string{"3:5 wrong-type"}},
		"a lane is a name":        {root + "lanes: {a: b}\n", []string{"2:12 wrong-type"}},
		"a lane is a list":        {root + "lanes: {a: [b]}\n", []string{"2:12 wrong-type"}},
		"a lane twice":            {root + "lanes: {a: {}, a: {}}\n", []string{"2:16 duplicate-key"}},
		"no lanes' names":         {root + "lanes: {a-: {}, 1: {}, a b: {}, no: {}, [a]: {}, '': {}, &a b: ~}\n", []string{"2:9 bad-name", "2:17 needs-quotes", "2:24 bad-name", "2:33 needs-quotes", "2:41 wrong-type", "2:50 bad-name", "2:58 anchor"}},
		"the longest name":        {root + "lanes: {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {}, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {}}\n", []string{"2:79 bad-name"}},
		"a lane's unknown fields": {root + "lanes: {a: {x-owner: b, matches: {}, labels: {}}}\n", []string{"2:13 unknown-field", "2:25 unknown-field", "2:38 unknown-field"}},
		"match without value":     {root + "lanes: {a: {match: }}\n", []string{"2:20 wrong-type"}},
		"match is a name":         {root + "lanes: {a: {match: b}}\n", []string{"2:20 wrong-type"}},
		"match is empty":          {root + "lanes: {a: {match: {}}}\n", []string{"2:20 bad-value"}},
		"match's labels":          {root + "lanes: {a: {match: {a b: c, b: 1, c: '', d: [e], e: , f: g}}}\n", []string{"2:21 bad-name", "2:32 needs-quotes", "2:38 bad-value", "2:45 wrong-type", "2:53 needs-quotes"}},
		"missing is of a rule":    {root + "lanes: {a: {missing: default}}\n", []string{"2:22 bad-value"}},
		"missing without value":   {root + "lanes: {a: {missing: }}\n", []string{"2:22 bad-value"}},
		"missing is a list":       {root + "lanes: {a: {missing: [fail]}}\n", []string{"2:22 wrong-type"}},
		// Rules by which a lane is entered.
		"rules":                        {enter + "- {name: a, when: {header.x-tester: 'yes'}, lane: b}\n- {name: c, sticky: user, lane: {b: 5%, c: 5%}, salt: d, unless: {path: /}, enabled: true, x-why: e}\n", nil},
		"no rules":                     {root + "enter: []\n", nil},
		"enter without value":          {enter, []string{"2:7 wrong-type"}},
		"enter is a map":               {root + "enter: {a: b}\n", []string{"2:8 wrong-type"}},
		"a rule is a name":             {enter + "- a\n- [b]\n- ~\n", []string{"3:3 wrong-type", "4:3 wrong-type", "5:3 wrong-type"}},
		"an empty rule":                {enter + "- {}\n", []string{"3:3 missing-field", "3:3 missing-field"}},
		"a rule without a lane":        {enter + "- name: a\n  when: {path: a}\n", []string{"3:3 missing-field"}},
		"a rule without a name":        {enter + "- {lane: a}\n", []string{"3:4 missing-field"}},
		"lane without value":           {enter + "- {name: a, lane: }\n", []string{"3:19 needs-quotes"}},
		"lane is a list":               {enter + "- {name: a, lane: [b]}\n", []string{"3:19 wrong-type"}},
		"lane is a number":             {enter + "- {name: a, lane: 1}\n", []string{"3:19 needs-quotes"}},
		"lane is no name":              {enter + "- {name: a, lane: a.}\n", []string{"3:19 bad-name"}},
		"lane need not be declared":    {root + "lanes: {a: {}}\nenter: [{name: a, lane: b}]\n", nil},
		"lane with an anchor":          {enter + "- {name: a, lane: &a b}\n", []string{"3:19 anchor"}},
		"no arms":                      {enter + "- {name: a, lane: {}}\n", []string{"3:19 bad-value"}},
		"arms' names":                  {enter + "- {name: a, lane: {2: 1%, a b: 1%, [c]: 1%}}\n", []string{"3:20 needs-quotes", "3:27 bad-name", "3:36 wrong-type"}},
		"arms' shares":                 {enter + "- {name: a, lane: {b: 1, c: , d: [1%], e: &a 1%}}\n", []string{"3:23 bad-percent", "3:29 bad-percent", "3:34 wrong-type", "3:43 anchor"}},
		"an arm twice":                 {enter + "- {name: a, lane: {b: 1%, b: 1%}}\n", []string{"3:27 duplicate-key"}},
		"sum stands at lane":           {enter + "- name: a\n  lane:\n    b: 50%\n    c: 50.01%\n", []string{"4:3 percent-sum"}},
		"sum of all":                   {enter + "- {name: a, lane: {b: 50%, c: 50%}}\n", nil},
		"arms stand at lane":           {enter + "- name: a\n  sticky: user\n  lane: {b: 1%, c: 1%, d: 1%}\n", []string{"5:3 too-many-arms"}},
		"three arms that do not stick": {enter + "- {name: a, lane: {b: 1%, c: 1%, d: 1%}}\n", nil},
		"a service rule's fields":      {enter + "- {name: a, lane: b, to: b, by: user, missing: fail}\n", []string{"3:22 unknown-field", "3:29 unknown-field", "3:39 unknown-field"}},
		"sticky and a name":            {enter + "- {name: a, lane: b, sticky: user}\n", []string{"3:30 sticky-without-split"}},
		"sticky and no lane":           {enter + "- {name: a, sticky: user}\n", []string{"3:4 missing-field", "3:21 sticky-without-split"}},
		"sticky on an unstable field":  {enter + "- {name: a, lane: {b: 1%}, sticky: header.Traceparent}\n", []string{"3:36 unstable-sticky"}},
		"sticky on no field":           {enter + "- {name: a, lane: {b: 1%}, sticky: ip}\n", []string{"3:36 bad-field"}},
		"salt":                         {enter + "- {name: a, lane: {b: 1%}, salt: ''}\n- {name: b, lane: {b: 1%}, salt: 1}\n", []string{"3:34 bad-value", "4:34 needs-quotes"}},
		"enabled":                      {enter + "- {name: a, lane: b, enabled: 'false', when: {path: a}}\n", []string{"3:31 wrong-type"}},
		"conditions":                   {enter + "- {name: a, lane: b, when: {}, unless: {ip: a}}\n", []string{"3:28 bad-test", "3:41 bad-field"}},
		"unreachable":                  {enter + "- {name: a, lane: b}\n- {name: c, lane: {b: 1%}}\n- {name: d, lane: b}\n", []string{"4:4 unreachable", "5:4 unreachable"}},
		"reachable":                    {enter + "- {name: a, lane: {b: 100%}}\n- {name: c, lane: b, enabled: false}\n- {name: d, lane: b, when: {path: a}}\n- {name: e, lane: b}\n", nil},
		"names twice":                  {enter + "- {name: a, lane: {b: 1%}}\n- {lane: {b: 1%}, name: a}\n- {name: A, lane: b}\n", []string{"4:4 duplicate-rule"}},
	}}
}

func TestRulesOfLanesAreBounded(t *testing.T) {
	document := func(n int) string {
		var b strings.Builder
		b.WriteString("gray: v1\nenter:\n")
		for i := range n {
			fmt.Fprintf(&b, "- {name: r%d, lane: {a: 1%%}}\n", i)
		}
		return b.String()
	}
	assert.Empty(t, lintGlobal(document(MaxRules)))
	assert.Equal(t, []string{"203:4 too-many-rules"}, places(lintGlobal(document(MaxRules+1))))
	assert.Equal(t, []string{"203:4 too-many-rules"}, places(lintGlobal(document(MaxRules+9)+"- 1\n")))
}

func TestEverythingThatAGlobalDocumentSaysIsRead(t *testing.T) {
	content := `
gray: v1
x-owner: {team: a}
lanes:
  canary-v2: {match: {lane: canary-v2, env: gray}, missing: baseline}
  strict: {missing: fail}
  plain: {}
enter:
- name: testers
  when: {header.x-tester: "yes"}
  unless: {path: {prefix: /pay}}
  lane: canary-v2
- name: five
  enabled: false
  sticky: user
  lane: {plain: 5%, canary-v2: 10%}
- name: pinned
  lane: {plain: 1%}
  salt: old name
  x-why: [a]
`
	global := acceptGlobal(t, content)
	assert.Equal(t, digest([]byte(content)), global.MD5)
	assert.Equal(t, map[string]Lane{
		"canary-v2": {Match: map[string]string{"lane": "canary-v2", "env": "gray"}},
		"strict":    {Strict: true},
		"plain":     {},
	}, global.Lanes)
	require.Len(t, global.Enter, 3)
	when := &global.Enter[0].When
	assert.True(t, when.Holds(lookup(request{headers: map[string]string{"x-tester": "yes"}}, nil)))
	assert.False(t, when.Holds(lookup(request{headers: map[string]string{"x-tester": "yes"}, path: "/pay"}, nil)))
	global.Enter[0].When = Condition{}
	assert.Equal(t, []Rule{
		{Name: "testers", Enabled: true, To: []Arm{{"canary-v2", 0, Slots}}, Salt: "enter/testers"},
		{Name: "five", Split: true, To: []Arm{{"canary-v2", 0, 1000}, {"plain", 9500, 10000}}, Sticky: &Field{kind: fieldUser}, Salt: "enter/five"},
		{Name: "pinned", Enabled: true, Split: true, To: []Arm{{"plain", 0, 100}}, Salt: "old name"},
	}, global.Enter)

	assert.Equal(t, &Global{MD5: digest([]byte("gray: v1\n"))}, acceptGlobal(t, "gray: v1\n"))
	refused, _ := ParseGlobal("f", []byte("gray: v1\nlanes: []\n"))
	assert.Nil(t, refused)
}
