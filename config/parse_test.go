package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

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

func lintRules(content string) Problems {
	_, problems := ParseRules("f", "order", []byte(content))
	return problems
}

// lint returns the problems of a document as "LINE:COL CODE".
func lint(content string) []string { return places(lintRules(content)) }

// accept returns the rules of a document without a problem.
func accept(tb testing.TB, content string) *Rules {
	tb.Helper()
	rules, problems := ParseRules("f", "order", []byte(content))
	require.NoError(tb, problems.Err())
	require.Empty(tb, problems)
	return rules
}

// rule returns a document with one rule, whose fields begin at line 4, column 3.
func rule(fields ...string) string {
	return "gray: v1\ndefault: v1\nrules:\n- " + strings.Join(fields, "\n  ") + "\n"
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
		var want []string
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
isolate: ["10.0.0.7:8080", "[::1]:80"]
prefer: [region, zone]
prefer_min: 12.5%
degrade: any
guard: {errors: 20%, over: 1m, min: 10, failures: 5, hold: 2m}
limits:
  v2: {timeout: 800ms, retries: 1}
  v1: {retries: 0}
needs: []
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
		Isolate: map[netip.AddrPort]struct{}{
			netip.MustParseAddrPort("10.0.0.7:8080"): {},
			netip.MustParseAddrPort("[::1]:80"):      {},
		},
		Prefer:     []string{"region", "zone"},
		PreferMin:  1250,
		DegradeAny: true,
		Guard:      &Guard{Errors: 2000, Over: time.Minute, Min: 10, Failures: 5, Hold: 2 * time.Minute},
		Limits:     map[string]Limit{"v2": {Timeout: 800 * time.Millisecond, Retries: 1}, "v1": {Retries: 0}},
		Rules: []Rule{
			{Name: "testers", To: []Arm{{Target: "v2", To: Slots}}, Salt: "order/testers"},
			{Name: "asked-for", Enabled: true, By: by, Strict: true, Salt: "order/asked-for"},
			{Name: "split", Enabled: true, Split: true, To: []Arm{{Target: "v2", To: 1250}}, Sticky: user, Salt: "order/split"},
			{Name: "pinned", Enabled: true, Split: true, To: []Arm{{Target: "v2", To: 100}}, Salt: "old name"},
		},
	}, accept(t, content))

	smallest := accept(t, "gray: v1\ndefault: v1\nbalance: least\n")
	assert.Equal(t, &Rules{Service: "order", MD5: smallest.MD5, Enabled: true, Default: "v1", Balance: Balance{Policy: Least}}, smallest)
	assert.False(t, accept(t, "gray: v1\ndefault: v1\ndegrade: fail\n").DegradeAny)
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
