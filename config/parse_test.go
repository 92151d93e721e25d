package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ExampleParseRules() {
	document := `
gray: v1
default: v1
rules:
- name: testers
  whem: {header.x-tester: "yes"}
  to: v2
- name: ten-percent
  to: {v2: 10}
  sticky: user
`
	rules, problems := ParseRules("gray.order.yaml", "order", []byte(document))
	fmt.Println(rules == nil)
	fmt.Println(problems.Err())
	// Output:
	// true
	// gray.order.yaml:6:3: unknown-field: there is no field "whem", did you mean "when"?
	// gray.order.yaml:8:3: unreachable: rule "testers" before this one takes everything
	// gray.order.yaml:9:12: bad-percent: "10" is not a percent from 0% to 100%, as 10% or 12.5%
}

// lint returns the problems of a document as "LINE:COL CODE".
func lint(content string) []string {
	_, problems := ParseRules("f", "order", []byte(content))
	got := make([]string, len(problems))
	for i, p := range problems {
		got[i] = fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Code)
	}
	return got
}

// accept returns the rules of a document without a problem.
func accept(t *testing.T, content string) *Rules {
	t.Helper()
	rules, problems := ParseRules("f", "order", []byte(content))
	require.NoError(t, problems.Err())
	require.Empty(t, problems)
	return rules
}

// rule returns a document with one rule, whose fields begin at line 4, column 3.
func rule(fields ...string) string {
	return "gray: v1\ndefault: v1\nrules:\n- " + strings.Join(fields, "\n  ") + "\n"
}

func TestProblemsStandWhereTheyAre(t *testing.T) {
	const root = "gray: v1\ndefault: v1\n" // what is wrong stands at line 3
	cases := map[string]struct {
		content string
		want    []string
	}{
		// The document.
		"empty":                             {"", []string{"1:1 syntax"}},
		"only a comment":                    {"# nothing\n", []string{"1:1 syntax"}},
		"only a mark":                       {"---\n", []string{"1:1 syntax"}},
		"null":                              {"null\n", []string{"1:1 wrong-type"}},
		"text":                              {"text\n", []string{"1:1 wrong-type"}},
		"list":                              {"- a\n", []string{"1:1 wrong-type"}},
		"empty map":                         {"{}\n", []string{"1:1 missing-field", "1:1 missing-field"}},
		"second document":                   {root + "---\n", []string{"3:1 syntax"}},
		"broken second document":            {root + "--- [\n", []string{"3:1 syntax"}},
		"end mark":                          {root + "...\n", []string{}},
		"directive":                         {"# c\n\n%TAG ! x\n---\n" + root, []string{"3:1 syntax"}},
		"percent sign in a string":          {root + "x-a: 'a\n%b'\n", []string{}},
		"not UTF-8":                         {root + "x-a: \xff\n", []string{"1:1 syntax"}},
		"control character":                 {root + "x-a: \x01\n", []string{"1:1 syntax"}},
		"windows lines":                     {strings.ReplaceAll(root, "\n", "\r\n") + "defaul: a\r\n", []string{"3:1 unknown-field"}},
		"byte order mark":                   {"\ufeff" + root, []string{}},
		"a surrogate pair":                  {root + `x-a: "\ud83d\ude00"`, []string{"3:1 syntax"}},
		"size":                              {root + "#" + strings.Repeat("x", MaxDocument-len(root)-1), []string{}},
		"size and one":                      {root + "#" + strings.Repeat("x", MaxDocument-len(root)), []string{"1:1 too-large"}},
		"depth":                             {root + "x-a: " + strings.Repeat("[", 15) + strings.Repeat("]", 15), []string{}},
		"depth and one":                     {root + "x-a: " + strings.Repeat("[", 16) + strings.Repeat("]", 16), []string{"3:21 too-deep"}},
		"depth of maps":                     {root + "x-a: " + strings.Repeat("{a: ", 16) + strings.Repeat("}", 16), []string{"3:66 too-deep"}},
		"depth beyond the parser":           {root + "x-a: " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000), []string{"3:1 too-deep"}},
		"an unknown alias":                  {root + "x-a: *b\n", []string{"1:1 syntax"}},
		"anchor, also free":                 {root + "x-a: &a [*a]\n", []string{"3:6 anchor"}},
		"anchor at a key":                   {root + "&a rules: {}\n", []string{"3:1 anchor"}},
		"anchor at a required key":          {"&a gray: v1\n&b default: v1\n", []string{"1:1 anchor", "2:1 anchor"}},
		"alias":                             {root + "x-a: &a b\nx-b: *a\n", []string{"3:6 anchor", "4:6 anchor"}},
		"alias as a key":                    {root + "x-a: &a b\n*a : c\n", []string{"3:6 anchor", "4:1 anchor"}},
		"merge key":                         {root + "x-a: {<<: {b: c}}\n", []string{"3:7 anchor"}},
		"merge key in quotes":               {root + "x-a: {\"<<\": {b: c}}\n", []string{}},
		"tag":                               {root + "enabled: !!bool true\n", []string{"3:10 anchor"}},
		"tag of its own":                    {root + "x-a: !b c\n", []string{"3:6 anchor"}},
		"bare tag":                          {"gray: v1\ndefault: ! v1\nx-a: '!'\n", []string{"2:10 anchor"}},
		"bare tag at a key":                 {root + "! x-a: b\n", []string{"3:1 anchor"}},
		"bare tag at a map":                 {root + "x-a: !\n  b: c\nx-ä: [ä, ! d]\n", []string{"3:6 anchor", "5:10 anchor"}},
		"bare tag after all kinds of lines": {"\ufeff" + root + "x-a: ü\rx-b: 'a\u2028b'\r\n\r\nx-c: [\u00e4, ! b]\n", []string{"7:10 anchor"}},
		"exclamation marks":                 {root + "x-a: a!b\nx-b: \"!\"\nx-c: [a!]\n", []string{}},
		"duplicate, also free":              {root + "x-a: {b: 1, c: 2, b: 3}\n", []string{"3:19 duplicate-key"}},
		"of a duplicate the first":          {root + "default: {}\ngray: v2\n", []string{"3:1 duplicate-key", "4:1 duplicate-key"}},
		"key that is a map":                 {root + "{a: b}: c\n", []string{"3:1 wrong-type"}},
		"unknown version":                   {"default: [\"\"]\ngray: \"1\"\ngray: v1\n", []string{"2:7 unsupported-version"}},
		"version without value":             {"gray:\ndefault: 1\n", []string{"1:6 unsupported-version"}},
		"version is a list":                 {"gray: [v1]\ndefault: &a 1\n", []string{"1:7 unsupported-version"}},
		"version in quotes":                 {"gray: \"v1\"\ndefault: v1\n", []string{}},
		"version with an anchor":            {"gray: &a v2\ndefault: 1\n", []string{"1:7 anchor", "2:10 needs-quotes"}},
		"service":                           {root + "service: order\n", []string{}},
		"other service":                     {root + "service: Order\n", []string{"3:10 wrong-service"}},
		"service is a number":               {root + "service: 1\n", []string{"3:10 needs-quotes"}},
		"enabled is null":                   {root + "enabled:\n", []string{"3:9 wrong-type"}},
		"enabled is True":                   {root + "enabled: True\n", []string{"3:10 wrong-type"}},
		"needs nothing":                     {root + "needs: []\n", []string{}},
		"needs":                             {root + "needs: [a, 1]\n", []string{"3:9 unsupported-need", "3:12 needs-quotes"}},
		"needs is a name":                   {root + "needs: a\n", []string{"3:8 wrong-type"}},
		"needs without value":               {root + "needs:\n", []string{"3:7 wrong-type"}},
		"default is a list":                 {"gray: v1\ndefault: [v1]\n", []string{"2:10 wrong-type"}},
		"default is no name":                {"gray: v1\ndefault: v1.\n", []string{"2:10 bad-name"}},
		"default without value":             {"gray: v1\ndefault:\n", []string{"2:9 needs-quotes"}},
		"default is empty":                  {"gray: v1\ndefault: ''\n", []string{"2:10 bad-name"}},
		"longest name":                      {"gray: v1\ndefault: " + strings.Repeat("a", 64) + "\n", []string{}},
		"name too long":                     {"gray: v1\ndefault: " + strings.Repeat("a", 65) + "\n", []string{"2:10 bad-name"}},
		"balance by what":                   {root + "balance: {hash: ip}\n", []string{"3:17 bad-field"}},
		"balance by nothing":                {root + "balance: {hash: }\n", []string{"3:17 bad-field"}},
		"balance in an odd shape":           {root + "balance: {hash: [user]}\n", []string{"3:10 bad-value"}},
		"balance with more":                 {root + "balance: {hash: user, salt: a}\n", []string{"3:10 bad-value"}},
		"balance without value":             {root + "balance:\n", []string{"3:9 bad-value"}},
		"balance with an anchor":            {root + "balance: {hash: &a user}\n", []string{"3:17 anchor"}},
		"hash twice":                        {root + "balance: {hash: user, hash: user}\n", []string{"3:23 duplicate-key"}},
		"targets without value":             {root + "targets:\n", []string{"3:9 wrong-type"}},
		"target without labels":             {root + "targets: {v1: {}}\n", []string{"3:15 bad-value"}},
		"target without value":              {root + "targets:\n  v1:\n", []string{"4:6 wrong-type"}},
		"label without value":               {root + "targets: {v1: {version: }}\n", []string{"3:25 needs-quotes"}},
		"label is a list":                   {root + "targets: {v1: {version: [a]}}\n", []string{"3:25 wrong-type"}},
		"label's name":                      {root + "targets: {v1: {a b: c, y: d, e/f: g}}\n", []string{"3:16 bad-name", "3:24 needs-quotes", "3:30 bad-name"}},
		"target's name":                     {root + "targets: {v1: {a: b}, -v: {a: b}, 1: {a: b}}\n", []string{"3:23 bad-name", "3:35 needs-quotes"}},
		"unknown default":                   {"gray: v1\ntargets: {v1: {a: b}}\ndefault: v2\n", []string{"3:10 unknown-target"}},
		"targets after the default":         {"gray: v1\ndefault: v2\ntargets: {v2: {a: b}}\n", []string{}},
		"refused targets":                   {"gray: v1\ndefault: v2\ntargets: [v2]\n", []string{"3:10 wrong-type"}},
		"targets with an anchor":            {"gray: v1\ndefault: v2\ntargets: &a {v1: {a: b}}\n", []string{"3:10 anchor"}},
		"refused name of a target":          {"gray: v1\ndefault: '2'\ntargets: {2: {a: b}}\n", []string{"3:11 needs-quotes"}},
		"rules without value":               {root + "rules:\n", []string{"3:7 wrong-type"}},
		"no rules":                          {root + "rules: []\n", []string{}},

		// One rule.
		"rule is a name":           {root + "rules: [a]\n", []string{"3:9 wrong-type"}},
		"empty rule":               {root + "rules: [{}]\n", []string{"3:9 missing-field", "3:9 to-or-by"}},
		"rule without a name":      {rule("x-a: 1", "by: user"), []string{"4:3 missing-field"}},
		"root's field in a rule":   {rule("name: a", "isolate: 1", "by: user"), []string{"5:3 unknown-field"}},
		"name without value":       {rule("name:", "by: user"), []string{"4:8 needs-quotes"}},
		"rule is disabled by no":   {rule("name: a", "enabled: no", "to: v2"), []string{"5:12 wrong-type"}},
		"to without value":         {rule("name: a", "to:"), []string{"5:6 needs-quotes"}},
		"to is a list":             {rule("name: a", "to: [v2]"), []string{"5:7 wrong-type"}},
		"to without arms":          {rule("name: a", "to: {}"), []string{"5:7 bad-value"}},
		"arm without value":        {rule("name: a", "to: {v2: }"), []string{"5:12 bad-percent"}},
		"arm is a list":            {rule("name: a", "to: {v2: [1%]}"), []string{"5:12 wrong-type"}},
		"arm's name":               {rule("name: a", "to: {2: 1%, v_: 1%}"), []string{"5:8 needs-quotes", "5:15 bad-name"}},
		"arm twice":                {rule("name: a", "to: {v2: 1%, v2: 1%}"), []string{"5:16 duplicate-key"}},
		"percents":                 {rule("name: a", "to: {v2: 1.5%, v3: '0%', v4: 000.01%, v5: 98.49%}"), []string{}},
		"bad percents":             {rule("name: a", "to: {a: 1.%, b: .5%, c: 1 %, d: +1%, e: 1%%, f: '', g: 9999999999999999999999%, h: 100.01%, i: '1,5%'}"), []string{"5:11 bad-percent", "5:19 bad-percent", "5:27 bad-percent", "5:35 bad-percent", "5:43 bad-percent", "5:51 bad-percent", "5:58 bad-percent", "5:86 bad-percent", "5:98 bad-percent"}},
		"sum stands at to":         {rule("name: a", "to:", "  v2: 50.01%", "  v3: 50%"), []string{"5:3 percent-sum"}},
		"arms stand at to":         {rule("name: a", "sticky: user", "to:", "  v2: 5%", "  v3: 5%", "  v4: 0%"), []string{"6:3 too-many-arms"}},
		"three arms, one default":  {rule("name: a", "sticky: user", "to: {v1: 5%, v2: 5%, v3: 5%}"), []string{}},
		"three arms, not sticky":   {rule("name: a", "to: {v2: 5%, v3: 5%, v4: 5%}"), []string{}},
		"three arms, no default":   {"gray: v1\nrules:\n- {name: a, sticky: user, to: {v1: 5%, v2: 5%, v3: 5%}}\n", []string{"1:1 missing-field"}},
		"by nothing":               {rule("name: a", "by:"), []string{"5:6 bad-field"}},
		"by a number":              {rule("name: a", "by: 1.0"), []string{"5:7 bad-field"}},
		"by a list":                {rule("name: a", "by: [user]"), []string{"5:7 wrong-type"}},
		"sticky and by":            {rule("name: a", "by: user", "sticky: user"), []string{"6:11 sticky-without-split"}},
		"sticky and nothing":       {rule("name: a", "sticky: user"), []string{"4:3 to-or-by", "5:11 sticky-without-split"}},
		"sticky is no field":       {rule("name: a", "to: v2", "sticky: ip"), []string{"6:11 bad-field"}},
		"sticky by path":           {rule("name: a", "to: {v2: 1%}", "sticky: path"), []string{"6:11 unstable-sticky"}},
		"sticky by a header":       {rule("name: a", "to: {v2: 1%}", "sticky: header.X-Real-IP"), []string{"6:11 unstable-sticky"}},
		"salt without value":       {rule("name: a", "to: {v2: 1%}", "salt:"), []string{"6:8 needs-quotes"}},
		"missing is a word":        {rule("name: a", "to: v2", "missing: error"), []string{"6:12 bad-value"}},
		"missing is a list":        {rule("name: a", "to: v2", "missing: [fail]"), []string{"6:12 wrong-type"}},
		"arm with an anchor":       {rule("name: a", "to: {v2: &a 1%, v3: 101%}"), []string{"5:12 anchor", "5:23 bad-percent"}},
		"missing without value":    {rule("name: a", "to: v2", "missing:"), []string{"6:11 bad-value"}},
		"undeclared in arms":       {"gray: v1\ndefault: v1\ntargets: {v1: {a: b}}\nrules:\n- name: a\n  to: {v1: 1%, v2: 1%}\n", []string{"6:16 unknown-target"}},
		"undeclared, by is free":   {"gray: v1\ndefault: v1\ntargets: {v1: {a: b}}\nrules:\n- {name: a, by: user}\n", []string{}},
		"same name, other problem": {rule("name: a", "by: user", "by: path", "sticky: 1"), []string{"6:3 duplicate-key", "7:11 bad-field"}},

		// Conditions.
		"condition is empty":     {rule("name: a", "by: user", "when: []"), []string{"6:9 bad-test"}},
		"an empty map of a list": {rule("name: a", "by: user", "when: [{path: a}, {}]"), []string{"6:21 bad-test"}},
		"text in a list":         {rule("name: a", "by: user", "unless: [a]"), []string{"6:12 wrong-type"}},
		"FIELDs": {rule("name: a", "by: user", "when: {header.: a, header.a b: a, cookie.: a, query: a, tag.a/b: a, caller.: a, Path: a, 1: a}"), []string{
			"6:10 bad-field", "6:22 bad-field", "6:37 bad-field", "6:49 bad-field", "6:59 bad-field", "6:71 bad-field", "6:83 bad-field", "6:92 bad-field",
		}},
		"compared to nothing":     {rule("name: a", "by: user", "when: {user: }"), []string{"6:16 needs-quotes"}},
		"compared to ''":          {rule("name: a", "by: user", "when: {user: ''}"), []string{}},
		"an empty list of values": {rule("name: a", "by: user", "when: {user: []}"), []string{"6:16 bad-test"}},
		"a list in a list":        {rule("name: a", "by: user", "when: {user: [a, [b], {c: d}]}"), []string{"6:20 bad-test", "6:25 bad-test"}},
		"no test":                 {rule("name: a", "by: user", "when: {user: {}}"), []string{"6:16 bad-test"}},
		"x-test":                  {rule("name: a", "by: user", "when: {user: {x-a: b}}"), []string{"6:17 bad-test"}},
		"not a test":              {rule("name: a", "by: user", "when: {user: {not: {prefix: a}}}"), []string{"6:22 bad-test"}},
		"not of nothing":          {rule("name: a", "by: user", "when: {user: {not: []}}"), []string{"6:22 bad-test"}},
		"prefix of nothing":       {rule("name: a", "by: user", "when: {user: {prefix: }}"), []string{"6:25 needs-quotes"}},
		"suffix of a number":      {rule("name: a", "by: user", "when: {user: {suffix: 1}}"), []string{"6:25 needs-quotes"}},
		"exists in quotes":        {rule("name: a", "by: user", "when: {user: {exists: 'true'}}"), []string{"6:25 bad-test"}},
		"regex is a list":         {rule("name: a", "by: user", "when: {user: {regex: [a]}}"), []string{"6:24 bad-test"}},
		"regex of full length":    {rule("name: a", "by: user", "when: {user: {regex: '"+strings.Repeat(".", MaxRegex)+"'}}"), []string{}},
		"regex too long":          {rule("name: a", "by: user", "when: {user: {regex: '"+strings.Repeat(".", MaxRegex+1)+"'}}"), []string{"6:24 bad-regex"}},
		"regex that cannot end":   {rule("name: a", "by: user", "when: {user: {regex: '\\Qa'}}"), []string{"6:24 bad-regex"}},
		"warned and refused":      {rule("name: a", "by: user", "when: {user: {regex: a}, path: 1}"), []string{"6:24 regex-not-needed", "6:34 needs-quotes"}},
		"range is a map":          {rule("name: a", "by: user", "when: {user: {range: {a: b}}}"), []string{"6:24 bad-range"}},
		"range of one":            {rule("name: a", "by: user", "when: {user: {range: [1]}}"), []string{"6:24 bad-range"}},
		"range of what":           {rule("name: a", "by: user", "when: {user: {range: [1e3, +5]}}"), []string{"6:25 bad-range", "6:30 bad-range"}},
		"range of strings":        {rule("name: a", "by: user", "when: {user: {range: ['-1.50', 2]}}"), []string{}},
		"anchors": {rule("name: a", "by: user", "when: {user: [&a a, 1], path: {regex: &b a}, &c lane: a, cookie.a: {range: [&d 1, x]}, tag.a: &e b}"), []string{
			"6:17 anchor", "6:23 needs-quotes", "6:41 anchor", "6:48 anchor", "6:79 anchor", "6:85 bad-range", "6:97 anchor",
		}},
		"header twice":       {rule("name: a", "by: user", "when: {header.A: a, Header.a: b, header.a: c}"), []string{"6:23 bad-field", "6:36 duplicate-key"}},
		"cookie twice":       {rule("name: a", "by: user", "when: {cookie.A: a, cookie.a: c}"), []string{}},
		"header in two maps": {rule("name: a", "by: user", "when: [{header.A: a}, {header.a: c}]"), []string{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, lint(c.content), "%.300s", c.content) })
	}
}

func TestWhatYAMLReadsAsNoStringNeedsQuotes(t *testing.T) {
	for s := range strings.FieldsSeq(`~ null Null NULL y Y n N yes Yes YES no No NO true True TRUE false False FALSE on On ON off Off OFF
		0 1 -1 +1 1_000 1.10 1. 1.5e3 1e3 1E-3 .5 -.5e1 .inf -.inf .nan 0b101 0o17 0x1F 1:30 12:30:45 190:20:30.15`) {
		assert.Equal(t, []string{"6:16 needs-quotes"}, lint(rule("name: a", "by: user", "when: {user: "+s+"}")), s)
		for _, quoted := range []string{`"` + s + `"`, `'` + s + `'`, "|-\n        " + s} {
			assert.Empty(t, lint(rule("name: a", "by: user", "when:\n    user: "+quoted)), quoted)
		}
	}
	for s := range strings.FieldsSeq(`a yEs nULL nil v1 1.2.3 2026-11-21 1a e3 0x 0b2 1:99 _1 --1 +-1 . .a 10.0.0.1 10% <<`) {
		assert.Empty(t, lint(rule("name: a", "by: user", "when: {user: "+s+"}")), s)
	}
}

func TestARuleAfterOneThatTakesEverythingIsUnreachable(t *testing.T) {
	const after = "\n- {name: b, enabled: false, to: v3}\n- {name: c, by: user}\n"
	for first, unreachable := range map[string]bool{
		"{name: a, to: v2}":                      true,
		"{name: a, to: v1, missing: fail}":       true,
		"{name: a, enabled: false, to: v2}":      false,
		"{name: a, to: v2, when: {path: a}}":     false,
		"{name: a, to: v2, unless: {path: a}}":   false,
		"{name: a, to: {v2: 100%}}":              false,
		"{name: a, by: header.x-gray-version}":   false,
		"{name: a, to: {v1: 1%}}":                false,
		"{name: a, enabled: true, to: v2}":       true,
		"{name: a, to: v2, x-when: {path: a}}":   true,
		"{name: a, to: {v1: 10%}, sticky: user}": false,
	} {
		want := []string{}
		if unreachable {
			want = []string{"5:4 unreachable", "6:4 unreachable"}
		}
		content := "gray: v1\ndefault: v1\nrules:\n- " + first + after
		assert.Equal(t, want, lint(content), first)
		rules, _ := ParseRules("f", "order", []byte(content))
		assert.NotNil(t, rules, "a warning refuses nothing")
	}
}

func TestRulesAreBounded(t *testing.T) {
	document := func(n int) string {
		var b strings.Builder
		b.WriteString("gray: v1\ndefault: v1\nrules:\n")
		for i := range n {
			fmt.Fprintf(&b, "- {name: r%d, by: user}\n", i)
		}
		return b.String()
	}
	assert.Empty(t, lint(document(MaxRules)))
	assert.Equal(t, []string{"204:4 too-many-rules"}, lint(document(MaxRules+1)))
	assert.Equal(t, []string{"204:4 too-many-rules"}, lint(document(MaxRules+9)+"- 1\n"))
}

func TestRulesOfOneNameAreRefused(t *testing.T) {
	got := lint("gray: v1\ndefault: v1\nrules:\n- {name: a, by: user}\n- {by: path, name: a}\n- {name: -, by: user}\n- {name: -, by: user}\n- {name: a, by: user}\n")
	assert.Equal(t, []string{"5:4 duplicate-rule", "6:10 bad-name", "7:10 bad-name", "8:4 duplicate-rule"}, got)
}

func TestHintsNameTheField(t *testing.T) {
	for written, meant := range map[string]string{
		"whem": "when", "whne": "when", "whe": "when", "wwhen": "when", "stikcy": "sticky", "too": "to", "names": "name",
	} {
		_, problems := ParseRules("f", "order", []byte(rule("name: a", "by: user", written+": a")))
		require.ErrorContains(t, problems.Err(), fmt.Sprintf("did you mean %q?", meant), written)
	}
	_, problems := ParseRules("f", "order", []byte(rule("name: a", "by: user", "condition: a")))
	assert.NotContains(t, problems.Error(), "did you mean")
}

func TestEverythingThatADocumentSaysIsRead(t *testing.T) {
	content := `
gray: v1
service: order
enabled: false
default: v1
x-owner: {team: a}
balance: {hash: header.X-Key}
targets:
  v1: {version: v1}
  v2: {version: v2, env: gray}
rules:
- name: testers
  enabled: false
  to: v2
- name: asked-for
  by: header.x-gray-version
  missing: fail
- name: split
  to: {v2: 12.5%, v1: 80%}
  sticky: user
  missing: default
- name: pinned
  to: {v2: 1%}
  salt: old name
`
	key, by, user := &Field{header: NewHeaderName("x-key"), name: "X-Key"}, &Field{header: NewHeaderName("x-gray-version"), name: "x-gray-version"}, &Field{kind: fieldUser}
	assert.Equal(t, &Rules{
		Service: "order",
		MD5:     digest([]byte(content)),
		Default: "v1",
		Targets: map[string]map[string]string{"v1": {"version": "v1"}, "v2": {"version": "v2", "env": "gray"}},
		Balance: Balance{Policy: Hash, Key: key},
		Rules: []Rule{
			{Name: "testers", To: []Arm{{Target: "v2", To: Slots}}, Salt: "order/testers"},
			{Name: "asked-for", Enabled: true, By: by, Strict: true, Salt: "order/asked-for"},
			{Name: "split", Enabled: true, Split: true, To: []Arm{{Target: "v2", To: 1250}}, Sticky: user, Salt: "order/split"},
			{Name: "pinned", Enabled: true, Split: true, To: []Arm{{Target: "v2", To: 100}}, Salt: "old name"},
		},
	}, accept(t, content))

	smallest := accept(t, "gray: v1\ndefault: v1\nbalance: least\n")
	assert.Equal(t, &Rules{Service: "order", MD5: smallest.MD5, Enabled: true, Default: "v1", Balance: Balance{Policy: Least}}, smallest)
	assert.Equal(t, Weighted, accept(t, "gray: v1\ndefault: v1\nbalance: weighted\n").Balance.Policy)
}

func TestProblemsAreAnErrorIfOneOfThemIs(t *testing.T) {
	_, problems := ParseRules("f", "order", []byte(rule("name: a", "to: {v2: 1%}", "sticky: path")))
	require.NoError(t, problems.Err(), "a warning")
	assert.Equal(t, "warning", problems[0].Severity.String())

	_, problems = ParseRules("f.yaml", "order", []byte("gray: v1\n"))
	var found Problems
	require.ErrorAs(t, fmt.Errorf("wrapped: %w", problems.Err()), &found)
	assert.Equal(t, Problems{{File: "f.yaml", Line: 1, Col: 1, Code: "missing-field", Message: `"default" is required`}}, found)
	assert.Equal(t, `f.yaml:1:1: missing-field: "default" is required`, found.Error())
	assert.NotErrorIs(t, problems.Err(), errors.ErrUnsupported, "an error that cannot be compared")
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte("gray: v1\ndefault: v1\ntargets: {v1: {version: v1}}\nbalance: {hash: user}\n"))
	f.Add([]byte(rule("name: a", "when: [{user: [a, b]}, {path: {regex: a+}}]", "unless: {tag.a: {range: [1, 2]}}", "to: {v2: 10%, v3: 5%}", "sticky: user")))
	f.Add([]byte("{\"gray\":\"v1\",\"default\":\"v1\",\"rules\":[{\"name\":\"a\",\"to\":{\"v2\":\"10%\"}}]}"))
	f.Add([]byte("&a gray: !b v1\n? [x]\n: *a\n<<: {}\n%\n---\n\xef\xbb\xbf\xff"))
	f.Fuzz(func(t *testing.T, content []byte) {
		rules, problems := ParseRules("f", "order", content)
		require.Equal(t, rules != nil, problems.Err() == nil, "%v", problems)
		for _, p := range problems {
			require.Positive(t, p.Line)
			require.Positive(t, p.Col)
			require.NotEmpty(t, p.Message)
		}
		if rules == nil {
			return
		}
		require.NotEmpty(t, rules.Default)
		for _, r := range rules.Rules {
			require.NotEqual(t, r.By == nil, len(r.To) == 0 && !r.Split)
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
			r.When.Holds(lookup(request{}, nil))
		}
	})
}
