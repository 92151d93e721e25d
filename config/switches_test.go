package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func lintSwitches(content string) Problems {
	_, problems := ParseSwitches("f", []byte(content))
	return problems
}

func TestProblemsOfSwitchesStandWhereTheyAre(t *testing.T) { switchProblems().run(t) }

func switchProblems() table {
	const root = "gray: v1\nswitches:\n" // what is wrong stands at line 3
	return table{lintSwitches, map[string]wrong{
		// The document.
		"smallest":                {"gray: v1\nswitches: {}\n", nil},
		"empty":                   {"", []string{"1:1 syntax"}},
		"without switches":        {"gray: v1\n", []string{"1:1 missing-field"}},
		"another version":         {"gray: 2\n", []string{"1:7 unsupported-version"}},
		"switches without value":  {root, []string{"2:10 wrong-type"}},
		"switches is a list":      {"gray: v1\nswitches: [a]\n", []string{"2:11 wrong-type"}},
		"switches with an anchor": {"gray: v1\nswitches: &a {}\n", []string{"2:11 anchor"}},
		"unknown fields":          {root + " {}\nx-a: 1\nswitch: {}\nservice: a\n", []string{"5:1 unknown-field", "6:1 unknown-field"}},
		// A switch.
		"switches":                   {root + " a: {value: true}\n feature.user.v2: {value: 1.5, rules: []}\n c-d_e: {value: ''}\n", nil},
		"a switch without value":     {root + " a:\n", []string{"3:4 wrong-type"}},
		"a switch is a value":        {root + " a: true\n b: [true]\n", []string{"3:5 wrong-type", "4:5 wrong-type"}},
		"no value":                   {root + " a: {}\n b: {rules: []}\n", []string{"3:5 missing-field", "4:6 missing-field"}},
		"unknown fields of a switch": {root + " a: {value: 1, x-owner: a, values: 1}\n", []string{"3:16 unknown-field", "3:28 unknown-field"}},
		"a switch twice":             {root + " a: {value: 1}\n a: {value: 2}\n", []string{"4:2 duplicate-key"}},
		"names":                      {root + " a-: {value: 1}\n 1: {value: 1}\n on: {value: 1}\n a b: {value: 1}\n '': {value: 1}\n ? [a]\n : {value: 1}\n", []string{"3:2 bad-name", "4:2 needs-quotes", "5:2 needs-quotes", "6:2 bad-name", "7:2 bad-name", "8:4 wrong-type"}},
		"the longest name":           {root + " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {value: 1}\n aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {value: 1}\n", []string{"4:2 bad-name"}},
		// Values.
		"numbers":                             {root + " a: {value: 0}\n b: {value: -1}\n c: {value: +1}\n d: {value: 1.5}\n e: {value: 1e3}\n f: {value: 1E-3}\n g: {value: -0.0}\n h: {value: 1.50e+10}\n i: {value: 99999999999999999999}\n", nil},
		"numbers that YAML reads in two ways": {root + " a: {value: 007}\n b: {value: 0x1F}\n c: {value: .5}\n d: {value: 1_000}\n e: {value: .inf}\n f: {value: 1.}\n g: {value: 0o7}\n h: {value: 0b1}\n i: {value: 1:30}\n j: {value: .nan}\n k: {value: -.5}\n", []string{"3:13 needs-quotes", "4:13 needs-quotes", "5:13 needs-quotes", "6:13 needs-quotes", "7:13 needs-quotes", "8:13 needs-quotes", "9:13 needs-quotes", "10:13 needs-quotes", "11:13 needs-quotes", "12:13 needs-quotes", "13:13 needs-quotes"}},
		"numbers beyond a float":              {root + " a: {value: 1e999}\n b: {value: -1e999}\n c: {value: 1e-999}\n", []string{"3:13 bad-value", "4:13 bad-value"}},
		"strings":                             {root + " a: {value: a}\n b: {value: 'true'}\n c: {value: '1'}\n d: {value: ''}\n e: {value: 1.2.3}\n f:\n  value: |-\n   1\n", nil},
		"words that YAML 1.1 reads as bools":  {root + " a: {value: yes}\n b: {value: No}\n c: {value: ON}\n d: {value: n}\n e: {value: True}\n f: {value: FALSE}\n g: {value: ~}\n h: {value: null}\n i: {value: }\n", []string{"3:13 needs-quotes", "4:13 needs-quotes", "5:13 needs-quotes", "6:13 needs-quotes", "7:13 needs-quotes", "8:13 needs-quotes", "9:13 needs-quotes", "10:13 needs-quotes", "11:13 needs-quotes"}},
		"values that are lists and maps":      {root + " a: {value: [1]}\n b: {value: {c: 1}}\n c: {value: &a 1}\n d: {value: !!str 1}\n", []string{"3:13 wrong-type", "4:13 wrong-type", "5:13 anchor", "6:13 anchor"}},
		// Rules.
		"rules":                           {root + " a:\n  value: 1\n  rules:\n  - {name: b, when: {user: a}, unless: {path: b}, value: 2}\n  - {name: c, sticky: user, share: 10%, salt: d, value: 3, x-why: e, enabled: false}\n", nil},
		"rules without value":             {root + " a: {value: 1, rules: }\n", []string{"3:23 wrong-type"}},
		"rules is a map":                  {root + " a: {value: 1, rules: {b: c}}\n", []string{"3:23 wrong-type"}},
		"a rule is a name":                {root + " a:\n  value: 1\n  rules:\n  - b\n", []string{"6:5 wrong-type"}},
		"an empty rule":                   {root + " a:\n  value: 1\n  rules:\n  - {}\n", []string{"6:5 missing-field", "6:5 missing-field"}},
		"a rule without value":            {root + " a:\n  value: 1\n  rules:\n  - name: b\n    when: {user: a}\n", []string{"6:5 missing-field"}},
		"a rule's unknown fields":         {root + " a:\n  value: 1\n  rules:\n  - {name: b, when: {user: a}, value: 2, to: c, by: user, lane: d, missing: fail}\n", []string{"6:42 unknown-field", "6:49 unknown-field", "6:59 unknown-field", "6:68 unknown-field"}},
		"names twice":                     {root + " a:\n  value: 1\n  rules:\n  - {name: b, when: {user: a}, value: 2}\n  - {value: 3, name: b}\n", []string{"7:6 duplicate-rule"}},
		"one name in two switches":        {root + " a: {value: 1, rules: [{name: c, value: 2}]}\n b: {value: 1, rules: [{name: c, value: 2}]}\n", nil},
		"unreachable":                     {root + " a:\n  value: 1\n  rules:\n  - {name: b, value: 2}\n  - {name: c, value: 3, sticky: user, share: 1%}\n", []string{"7:6 unreachable"}},
		"reachable":                       {root + " a:\n  value: 1\n  rules:\n  - {name: b, value: 2, enabled: false}\n  - {name: c, value: 2, sticky: user, share: 100%}\n  - {name: d, value: 2, when: {user: a}}\n  - {name: e, value: 3}\n", nil},
		"types":                           {root + " a:\n  value: 1\n  rules:\n  - {name: b, value: true, when: {user: a}}\n  - {name: c, value: '2', when: {user: a}}\n  - {name: d, value: yes, when: {user: a}}\n  - {name: e, value: 2.5, when: {user: a}}\n", []string{"6:22 wrong-type", "7:22 wrong-type", "8:22 needs-quotes"}},
		"types before the switch's value": {root + " a:\n  rules: [{name: b, value: true}]\n  value: a\n", []string{"4:28 wrong-type"}},
		"types where the switch's value is refused": {root + " a:\n  value: yes\n  rules: [{name: b, value: true, when: {user: a}}, {name: c, value: no}]\n", []string{"4:10 needs-quotes", "5:69 needs-quotes"}},
		"types where the switch has no value":       {root + " a:\n  rules: [{name: b, value: true}]\n", []string{"4:3 missing-field"}},
		"share without sticky":                      {root + " a:\n  value: 1\n  rules:\n  - {name: b, share: 10%, value: 2}\n", []string{"6:6 missing-field"}},
		"sticky without share":                      {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: user, value: 2}\n", []string{"6:23 sticky-without-split"}},
		"share that is no percent":                  {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: user, share: 10, value: 2}\n  - {name: c, sticky: user, share: , value: 2}\n  - {name: d, sticky: user, share: 101%, value: 2}\n  - {name: e, sticky: user, share: [1%], value: 2}\n", []string{"6:36 bad-percent", "7:36 bad-percent", "8:36 bad-percent", "9:36 wrong-type"}},
		"share with an anchor":                      {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: user, share: &a 1%, value: 2}\n", []string{"6:36 anchor"}},
		"share is a map":                            {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: user, share: {b: 1%}, value: 2}\n", []string{"6:36 wrong-type"}},
		"sticky on no field":                        {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: ip, share: 1%, value: 2}\n", []string{"6:23 bad-field"}},
		"sticky on an unstable field":               {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: method, share: 1%, value: 2}\n", []string{"6:23 unstable-sticky"}},
		"salt":                                      {root + " a:\n  value: 1\n  rules:\n  - {name: b, sticky: user, share: 1%, salt: '', value: 2}\n", []string{"6:46 bad-value"}},
		"enabled":                                   {root + " a:\n  value: 1\n  rules:\n  - {name: b, when: {user: a}, enabled: off, value: 2}\n", []string{"6:41 wrong-type"}},
		"conditions":                                {root + " a:\n  value: 1\n  rules:\n  - {name: b, when: [], unless: a, value: 2}\n", []string{"6:21 bad-test", "6:33 wrong-type"}},
	}}
}

func TestRulesOfASwitchAreBounded(t *testing.T) {
	document := func(n int) string {
		var b strings.Builder
		b.WriteString("gray: v1\nswitches:\n")
		for _, name := range []string{"a", "b"} {
			fmt.Fprintf(&b, " %s:\n  value: 1\n  rules:\n", name)
			for i := range n {
				fmt.Fprintf(&b, "  - {name: r%d, when: {user: a}, value: 2}\n", i)
			}
		}
		return b.String()
	}
	assert.Empty(t, lintSwitches(document(MaxRules)), "each switch may have so many")
	assert.Equal(t, []string{"206:6 too-many-rules", "410:6 too-many-rules"}, places(lintSwitches(document(MaxRules+1))))
}
