package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

const explainRules = `gray: v1
default: v1
rules:
- name: testers
  when: {header.x-tester: "yes", user: {regex: "qa-[0-9]+"}}
  to: v2
- {name: asked-for, by: header.x-gray-version, missing: fail}
- {name: drawn, when: {path: /drawn}, to: {v2: 25%, v3: 25%}}
- {name: ten-percent, to: {v2: 30%}, sticky: user}
isolate: ["10.0.0.6:80"]
prefer: [zone]
`

const explainInstances = `{"addr":"10.0.0.1:80","metadata":{"version":"v1"}}
{"addr":"10.0.0.2:80","weight":0,"metadata":{"version":"v1"}}
{"addr":"10.0.0.3:80","metadata":{"version":"v2","zone":"a"}}
{"addr":"10.0.0.4:80","metadata":{"version":"v2","zone":"b"}}
{"addr":"10.0.0.5:80","healthy":false,"metadata":{"version":"v2","zone":"a"}}
{"addr":"10.0.0.6:80","metadata":{"version":"v2","zone":"a"}}
`

// scene writes the documents of a scene, changes into its directory, and returns
// the command line.
func scene(t *testing.T) []string {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("rules.yaml", []byte(explainRules), 0o600))
	require.NoError(t, os.WriteFile("instances.jsonl", []byte(explainInstances), 0o600))
	return []string{
		"explain", "--service", "order", "--rules", "rules.yaml",
		"--instances", "instances.jsonl", "--requests", "-",
	}
}

func TestExplainTellsAPersonHowItCameAbout(t *testing.T) {
	r := graylane(t, `{"id":"r1","method":"GET","path":"/pay","headers":{"X-User-Id":["u1"]},"caller":{"service":"web","zone":"a"}}
{"id":"r2","path":"/drawn","lane":"canary","caller":{"zone":"c"}}
{"id":"r3","path":"/a b","headers":{"x-gray-version":["v9"]}}
{"id":"r4","headers":{"x-gray-version":["no name"]}}
{"id":"r5"}
`, scene(t)...)
	assert.Empty(t, r.err)
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, `service  order, 6 instances of instances.jsonl
rules    rules.yaml
global   none

r1: GET /pay, user u1, caller.service web, caller.zone a
  rules   testers      when: header.x-tester is absent, not "yes"
          asked-for    by: header.x-gray-version is absent
          drawn        when: path is "/pay", not "/drawn"
          ten-percent  matches
  slot    2609 of 10000, hashed from user "u1" with salt order/ten-percent
          v2 has 0 to 2999, the default has the rest
  who     instances of v2   4  10.0.0.3:80 10.0.0.4:80 10.0.0.5:80 10.0.0.6:80
          usable            2  10.0.0.3:80 10.0.0.4:80
                               not: 1 isolated, 1 unhealthy
          prefer zone=a     1  10.0.0.3:80
  →       v2, by rule "ten-percent"

r2: /drawn, lane canary, caller.zone c
  lane    lane "canary" has no usable instance here
  rules   testers    when: header.x-tester is absent, not "yes"
          asked-for  by: header.x-gray-version is absent
          drawn      matches
  slot    4143 of 10000, drawn here, since the request has none
          v2 has 0 to 2499, v3 has 2500 to 4999, the default has the rest
  who     instances of v3                            0
          usable                                     0
          instead, usable of v1                      1  10.0.0.1:80
          prefer zone=c: skipped, it keeps too few   1  10.0.0.1:80
  →       v3 (fell back to default v1), by rule "drawn"

r3: "/a b"
  rules   testers    when: header.x-tester is absent, not "yes"
          asked-for  matches
  who     instances of v9   0
          usable            0
  →       refused, no_instance of v9, by rule "asked-for": the caller gets HTTP
          503, gRPC Unavailable

r4:
  rules   testers    when: header.x-tester is absent, not "yes"
          asked-for  matches
  →       refused, unknown_target "no name", by rule "asked-for": the caller
          gets HTTP 400, gRPC InvalidArgument

r5:
  rules   testers      when: header.x-tester is absent, not "yes"
          asked-for    by: header.x-gray-version is absent
          drawn        when: path is "", not "/drawn"
          ten-percent  matches
  slot    none: user is absent, and it alone says which
  who     instances of v1   2  10.0.0.1:80 10.0.0.2:80
          usable            1  10.0.0.1:80
                               not: 1 of weight 0
  →       v1, by rule "ten-percent"
`, r.out)
}

// outcomes explains requests by other rules and returns the last line of each.
func outcomes(t *testing.T, rules, requests string, more ...string) []string {
	t.Helper()
	args := append(scene(t), more...)
	if rules == "" {
		args = slices.Delete(args, 3, 5)
	} else {
		require.NoError(t, os.WriteFile("rules.yaml", []byte(rules), 0o600))
	}
	r := graylane(t, requests, args...)
	require.Equal(t, exitOK, r.code, r.err)
	var out []string
	for line := range strings.Lines(r.out) {
		if text, ok := strings.CutPrefix(line, "  →       "); ok {
			out = append(out, strings.TrimSuffix(text, "\n"))
		}
	}
	return out
}

func TestOutcomesOfAllKinds(t *testing.T) {
	one, asking := `{"id":"a"}`, `{"id":"a","headers":{"x-gray-version":["v9"]}}
{"id":"b","headers":{"X-Gray-Version":["no name"]}}
{"id":"c","headers":{"X-Gray-Version":["v2"]}}`
	assert.Equal(t, []string{"v2, since no rule matches"}, outcomes(t, "{gray: v1, default: v2}", one))
	assert.Equal(t, []string{"v2, since the document says enabled: false"}, outcomes(t, "{gray: v1, default: v2, enabled: false}", one))
	assert.Equal(t, []string{"v2 (fell back to unhealthy instances of v2), since no rule matches"},
		outcomes(t, `{gray: v1, default: v2, isolate: ["10.0.0.3:80", "10.0.0.4:80", "10.0.0.6:80"]}`, one))
	assert.Equal(t, []string{"v9 (fell back to any instance), since no rule matches"}, outcomes(t, "{gray: v1, default: v9, degrade: any}", one))
	assert.Equal(t, []string{"v9 (fell back to default v1), by rule \"a\"", "v1, by rule \"a\"; \"no name\" is no target", "v2, by rule \"a\""},
		outcomes(t, "{gray: v1, default: v1, rules: [{name: a, by: header.x-gray-version}]}", asking))
	assert.Equal(t, []string{
		"v9 (fell back to default all versions), as the request asks",
		"all versions, as the request asks; \"no name\" is no target", "v2, as the request asks",
	}, outcomes(t, "", asking))
	assert.Equal(t, []string{"v1, since no rule matches"}, outcomes(t, "", one, "--default-version", "v1"))
	assert.Equal(t, []string{"all versions, since no rule matches"}, outcomes(t, "", one))

	global := file(t, "global", "{gray: v1, lanes: {b: {match: {zone: b}}, c: {missing: fail}}}")
	assert.Equal(t, []string{
		"lane b, since the request is in it",
		"refused, no_instance of lane c, since the request is in it: the",
		"v1, since no rule matches",
	}, outcomes(t, "{gray: v1, default: v1}", `{"id":"a","lane":"b"}
{"id":"b","lane":"c"}
{"id":"c","lane":"d"}`, "--global", global))
}

func TestExplainForOneProtocol(t *testing.T) {
	args := scene(t)
	require.NoError(t, os.WriteFile("instances.jsonl", []byte(`{"addr":"10.0.0.1:80","metadata":{"version":"v1","protocol":"http"}}
{"addr":"10.0.0.1:81","metadata":{"version":"v1","protocol":"grpc"}}
{"addr":"10.0.0.2:80","metadata":{"version":"v1"}}
`), 0o600))
	for protocol, want := range map[string]string{
		"": `["10.0.0.1:80","10.0.0.1:81","10.0.0.2:80"]`, "http": `["10.0.0.1:80","10.0.0.2:80"]`, "grpc": `["10.0.0.1:81","10.0.0.2:80"]`,
	} {
		args := append(args, "--json")
		if protocol != "" {
			args = append(args, "--protocol", protocol)
		}
		r := graylane(t, `{"id":"a"}`, args...)
		assert.Contains(t, r.out, `"candidates":`+want, protocol)
	}
	assert.Contains(t, graylane(t, "", append(args, "--protocol", "grpc")...).out, "service  order, 2 over grpc, of 3 instances of instances.jsonl\n")
	r := graylane(t, "", append(args, "--protocol", "tcp")...)
	assert.Equal(t, result{exitUsage, "", "graylane explain: --protocol tcp: it is http or grpc; see graylane help explain\n"}, r)
}

func TestExplainSkipsBlankLinesAndTakesNullForAbsent(t *testing.T) {
	args := append(scene(t), "--json")
	require.NoError(t, os.WriteFile("instances.jsonl", []byte("\ufeff\n"+`{"addr":"10.0.0.1:80","weight":0.0004,"healthy":null,"enabled":null,"cluster":null,"metadata":{"version":"v1","zone":null}}`+
		"\r\n  \n"+`{"addr":"10.0.0.2:80","weight":null,"metadata":null}`+"\n"+
		`{"addr":"10.0.0.1:80","weight":2,"metadata":{"version":"v1"}}`+"\n"+ // once more
		`{"addr":"10.0.0.1:80","cluster":"b","metadata":{"version":"v1"}}`), 0o600))
	r := graylane(t, "\ufeff"+`{"id":"a","method":null,"path":null,"headers":null,"cookies":{"c":null},"query":{"q":[null],"r":null},"user":null,"lane":null,"caller":{"zone":null},"slot":null}`+
		"\r\n\t\n"+`{"id":"b","headers":{"x-tester":[null,"yes"],"X-TESTER":null},"user":"qa-1"}`+"\n", args...)
	assert.Equal(t, result{exitOK, `{"id":"a","via":"rule","rule":"ten-percent","slot":-1,"target":"v1","fallback":"","skipped":[],"candidates":["10.0.0.1:80","10.0.0.1:80"],"error":""}
{"id":"b","via":"rule","rule":"testers","slot":-1,"target":"v2","fallback":"default","skipped":[],"candidates":["10.0.0.1:80","10.0.0.1:80"],"error":""}
`, ""}, r)
}

func TestDrawnSlotsAreAWalk(t *testing.T) {
	var requests strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&requests, `{"id":"%d","path":"/drawn"}`+"\n", i)
	}
	r := graylane(t, requests.String(), append(scene(t), "--json")...)
	assert.True(t, strings.HasPrefix(r.out, `{"id":"0","via":"rule","rule":"drawn","slot":0,`))
	assert.Equal(t, 2500, strings.Count(r.out, `"target":"v2"`))
	assert.Equal(t, 2500, strings.Count(r.out, `"target":"v3"`))

	r = graylane(t, `{"id":"a","path":"/drawn","slot":2500}`+"\n"+`{"id":"b","path":"/drawn","slot":-1}`, append(scene(t), "--json")...)
	assert.Contains(t, r.out, `"slot":2500,"target":"v3"`)
	assert.Contains(t, r.out, `"slot":4143,"target":"v3"`)
}

func TestUnusableInputsAreNamedWithTheirLine(t *testing.T) {
	for line, want := range map[string]string{
		`{"id":"a","hedaers":{}}`:          `unknown field "hedaers"`,
		`{"path":"/a"}`:                    "field id is missing",
		`null`:                             "field id is missing",
		`{"id":""}`:                        "field id is missing",
		`{"id":1}`:                         "field id: a string belongs here, not number",
		`{"id":"a","headers":{"x":"y"}}`:   "field headers: a list of strings belongs here, not string",
		`{"id":"a","headers":["x"]}`:       "field headers: an object belongs here, not array",
		`{"id":"a","cookies":{"x":["y"]}}`: "field cookies: a string belongs here, not array",
		`{"id":"a","slot":10000}`:          "field slot: 10000 is not from 0 to 9999",
		`{"id":"a","slot":1.5}`:            "field slot: a whole number belongs here, not number 1.5",
		`[{"id":"a"}]`:                     "want one JSON object a line",
		`"a"`:                              "want one JSON object a line",
		`{"id":"a"} {"id":"b"}`:            "something follows the JSON object",
		`{"id":"a"`:                        "the JSON object does not end on this line",
		"\x00\xff\xfe\x1b[2J":              "not UTF-8",
		"\x00\x01\x02":                     `invalid character '\x00' looking for beginning of value`,
		`{"id":"` + strings.Repeat("x", maxLine) + `"}`: "a line of more than 1048576 bytes",
		strings.Repeat("[", maxLine):                    "exceeded max depth",
	} {
		r := graylane(t, `{"id":"first"}`+"\n\n"+line, append(scene(t), "--json")...)
		assert.Equal(t, exitUsage, r.code, "%.50s", line)
		assert.Equal(t, 1, strings.Count(r.out, "\n"), "the answer to the first request")
		assert.Contains(t, r.err, "graylane explain: stdin:3: ")
		assert.Contains(t, r.err, want)
		assert.Equal(t, 1, strings.Count(r.err, "\n"))
	}
	for line, want := range map[string]string{
		`{"addr":"10.0.0.1"}`:                       "field addr: \"10.0.0.1\" is no ip:port, as 10.0.0.1:80 or [fd00::1]:80",
		`{"addr":"host:80"}`:                        `field addr: "host:80" is no ip:port`,
		`{"addr":"10.0.0.1:0"}`:                     "is no ip:port",
		`{}`:                                        `field addr: "" is no ip:port`,
		`{"addr":"10.0.0.1:80","wight":1}`:          `unknown field "wight"`,
		`{"addr":"10.0.0.1:80","weight":""}`:        "field weight: a number belongs here, not string",
		`{"addr":"10.0.0.1:80","enabled":1}`:        "field enabled: true or false belongs here, not number",
		`{"addr":"10.0.0.1:80","metadata":{"a":1}}`: "a string belongs here, not number",
	} {
		args := scene(t)
		require.NoError(t, os.WriteFile("instances.jsonl", []byte("\n"+line), 0o600))
		r := graylane(t, `{"id":"a"}`, args...)
		assert.Equal(t, exitUsage, r.code, line)
		assert.Empty(t, r.out)
		assert.Contains(t, r.err, "graylane explain: instances.jsonl:2: ")
		assert.Contains(t, r.err, want)
	}
}

func TestExplainNeedsFilesThatItCanRead(t *testing.T) {
	args := scene(t)
	for i, flag := range args {
		if !slices.Contains([]string{"--rules", "--instances", "--requests"}, flag) {
			continue
		}
		bad := slices.Clone(args)
		bad[i+1] = "absent"
		r := graylane(t, "", bad...)
		assert.Equal(t, exitUsage, r.code)
		assert.Equal(t, "graylane explain: absent: no such file or directory\n", r.err)
		bad[i+1] = "."
		r = graylane(t, "", bad...)
		assert.Equal(t, result{exitUsage, r.out, "graylane explain: .: is a directory\n"}, r)
	}
}

func TestExplainRefusesADocumentWithErrors(t *testing.T) {
	args := append(scene(t), "--json")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("gray: v1\ndefualt: v1\n"), 0o600))
	for _, args := range [][]string{
		append(slices.Clone(args), "--rules", bad),
		append(slices.Clone(args), "--global", bad),
		append(slices.Clone(args), "--against", bad),
	} {
		r := graylane(t, `{"id":"a"}`, args...)
		assert.Equal(t, exitFailed, r.code)
		assert.Empty(t, r.out)
		assert.Contains(t, r.err, bad+":")
		assert.Contains(t, r.err, "\n  defualt: v1\n  ^\n")
		assert.True(t, strings.HasSuffix(r.err, "graylane explain: "+bad+": the document is refused\n"), r.err)
	}
	// Warnings refuse nothing.
	require.NoError(t, os.WriteFile(bad, []byte(strings.Replace(lintDocument, "yes", `"yes"`, 1)), 0o600))
	assert.Equal(t, exitOK, graylane(t, `{"id":"a"}`, append(args, "--rules", bad)...).code)
}

func TestManyCallersAreBounded(t *testing.T) {
	e := explainer{snapshot: registry.NewSnapshot(registry.Service{Name: "order"}, 0, nil)}
	ds := e.directors(nil)
	for i := range maxDirectors + 1 {
		zone := strconv.Itoa(i)
		r, err := explain.NewRequest(explain.Input{ID: "r", Caller: map[string]*string{"zone": &zone}}, 0)
		require.NoError(t, err)
		first := ds.of(r)
		assert.Same(t, first, ds.of(r))
		require.LessOrEqual(t, len(ds.byCaller), maxDirectors)
	}

	var requests strings.Builder
	for i := range 2*maxDirectors + 1 {
		fmt.Fprintf(&requests, `{"id":"r","headers":{"x-gray-version":["v2"]},"caller":{"zone":%q}}`+"\n", []string{"a", "b", strconv.Itoa(i)}[i%3])
	}
	r := graylane(t, requests.String(), append(scene(t), "--json")...)
	require.Equal(t, exitOK, r.code)
	lines := strings.Split(r.out, "\n")
	assert.Contains(t, lines[3], `"skipped":[],"candidates":["10.0.0.3:80"]`)
	assert.Contains(t, lines[4], `"skipped":[],"candidates":["10.0.0.4:80"]`)
	assert.Contains(t, lines[len(lines)-3], `"candidates":["10.0.0.4:80"]`)
	assert.Contains(t, lines[5], `"skipped":["zone"],"candidates":["10.0.0.3:80","10.0.0.4:80"]`)
}

func TestTextOfRequestsCannotUpsetATerminal(t *testing.T) {
	args := scene(t)
	rules := strings.Replace(explainRules, "when: {header.x-tester", `when: {"cookie.a\e[2J\u009bm": "x", header.x-tester`, 1)
	require.NoError(t, os.WriteFile("rules.yaml", []byte(rules), 0o600))
	r := graylane(t, `{"id":"\u001b[2J","path":"/`+strings.Repeat("x", 2000)+`","user":"a\u009bb","caller":{"\u0007":"\r","zone":"\u001b[2J"}}`, args...)
	assert.Equal(t, exitOK, r.code)
	for _, c := range r.out {
		assert.True(t, c == '\n' || c >= ' ' && (c < 0x7f || c > 0x9f), "%q", c)
	}
	assert.Less(t, len(r.out), 1500)
	assert.Contains(t, r.out, "prefer zone=�[2J")
	assert.Contains(t, r.out, "cookie.a�[2J�m is absent")

	r = graylane(t, "", "lint", file(t, "gray.order.yaml", "gray: v1 \u009b2J\u007f\u202e\x1b[2J\n"))
	assert.NotContains(t, r.out, "\u009b")
	assert.NotContains(t, r.out, "\x1b")
}

// A program on the other side of a pipe may ask one by one.
func TestEachRequestIsAnsweredBeforeTheNextIsThere(t *testing.T) {
	requests, ask := io.Pipe()
	answers, reply := io.Pipe()
	args := append(scene(t), "--json")
	code := make(chan int)
	go func() { code <- run(t.Context(), args, requests, reply, io.Discard) }()
	lines := bufio.NewReader(answers)
	for _, id := range []string{"a", "b"} {
		fmt.Fprintf(ask, `{"id":%q}`+"\n", id)
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(line, `{"id":"`+id+`",`), line)
	}
	require.NoError(t, ask.Close())
	assert.Equal(t, exitOK, <-code)
}
