package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

const lintDocument = `gray: v1
default: v1
rules:
- {name: all, to: v2}
- {name: testers, when: {header.x-tester: yes}, to: v2}
`

func TestLintShowsEveryProblemWithItsLine(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("gray.order.yaml", []byte(lintDocument), 0o600))
	r := graylane(t, "", "lint", "./gray.order.yaml")
	assert.Equal(t, exitFailed, r.code)
	assert.Equal(t, `./gray.order.yaml:5:4: unreachable: warning: rule "all" before this one takes everything
  - {name: testers, when: {header.x-tester: y
     ^
./gray.order.yaml:5:43: needs-quotes: "yes" is a string only in quotes
  - {name: testers, when: {header.x-tester: yes}, to: v2}
                                            ^
`, r.out)
	assert.Equal(t, "graylane lint: 1 error, 1 warning in 1 document\n", r.err)

	r = graylane(t, "", "lint", "gray.order.yaml", "--json")
	assert.Equal(t, exitFailed, r.code)
	assert.Empty(t, r.err)
	assert.Contains(t, r.out, `{"file":"gray.order.yaml","line":5,"col":4,"code":"unreachable","severity":"warning","message":"rule \"all\" before this one takes everything"}
{"file":"gray.order.yaml","line":5,"col":43,"code":"needs-quotes","severity":"error","message":"\"yes\" is a string only in quotes"}
`)
}

func TestLintEndsWithACodeThatSaysHowItWent(t *testing.T) {
	good := file(t, "gray._global.yaml", "gray: v1\n")
	warned := file(t, "gray.order.yaml", strings.Replace(lintDocument, "yes", `"yes"`, 1))
	bad := file(t, "switches.order.yaml", "gray: v1\n")
	odd := file(t, "order.yaml", "gray: v1\n")
	absent := filepath.Join(t.TempDir(), "gray.user.yaml")

	r := graylane(t, "", "lint", good)
	assert.Equal(t, result{exitOK, "", "graylane lint: no problem in 1 document\n"}, r)
	r = graylane(t, "", "lint", good, warned)
	assert.Equal(t, exitOK, r.code)
	assert.Equal(t, "graylane lint: 0 errors, 1 warning in 2 documents\n", r.err)
	assert.Equal(t, exitFailed, graylane(t, "", "lint", good, bad, warned).code)

	// One that cannot be read keeps nobody from the others.
	r = graylane(t, "", "lint", absent, odd, t.TempDir(), bad)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, absent+": no such file or directory\n")
	assert.Contains(t, r.err, odd+": not the name of a document, as gray.SERVICE.yaml; see graylane help lint\n")
	assert.Contains(t, r.err, ": is a directory\n")
	assert.Contains(t, r.out, bad+":1:1: missing-field: ")
}

const lintTargets = `gray: v1
default: v1
targets:
  v1: {version: v1}
  v2: {version: v2}
  canary: {lane: canary}
  gone: {version: v3}
`

func TestLintKnowsInstances(t *testing.T) {
	doc := file(t, "gray.order.yaml", lintTargets)
	other := file(t, "gray.user.yaml", lintTargets)
	global := file(t, "gray._global.yaml", "gray: v1\n")
	instances := file(t, "instances.jsonl", `{"addr":"10.0.0.1:80","metadata":{"version":"v1"}}
{"addr":"10.0.0.2:80","healthy":false,"metadata":{"version":"v2"}}
{"addr":"10.0.0.3:80","metadata":{"version":"v3","lane":"canary"}}
`)
	r := graylane(t, "", "lint", "--instances", instances, doc, global)
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, doc+`:7:3: no-instance: warning: no instance is of the target "gone"`+"\n")
	assert.Equal(t, 1, strings.Count(r.out, "no-instance"), "%s", r.out)
	assert.NotContains(t, graylane(t, "", "lint", doc).out, "no-instance")

	r = graylane(t, "", "lint", "--instances", instances, doc, other)
	assert.Equal(t, result{exitUsage, "", "graylane lint: --instances holds those of one service, and the documents are of order, user\n"}, r)
	r = graylane(t, "", "lint", "--instances", instances+"x", doc)
	assert.Equal(t, result{exitUsage, "", "graylane lint: " + instances + "x: no such file or directory\n"}, r)
}

func TestLintAnswersAtOnceWhateverTheFile(t *testing.T) {
	garbage := make([]byte, 4096)
	for i := range garbage {
		garbage[i] = byte(i * 7)
	}
	for name, content := range map[string]string{
		"huge":     strings.Repeat("a: b\n", 2<<20),
		"one line": strings.Repeat("x", 10<<20),
		"garbage":  string(garbage),
		"deep":     strings.Repeat("[", 60_000),
		"empty":    "",
		"rules":    "gray: v1\ndefault: v1\nrules: [" + strings.Repeat("{},", config.MaxRules*100) + "]",
	} {
		path := file(t, "gray.order.yaml", content)
		began := time.Now()
		r := graylane(t, "", "lint", path)
		assert.Less(t, time.Since(began), 5*time.Second, name)
		assert.Equal(t, exitFailed, r.code, name)
		assert.True(t, strings.HasPrefix(r.out, path+":1:") || strings.HasPrefix(r.out, path+":3:"), "%s: %.200s", name, r.out)
		assert.NotContains(t, r.out, "\x1b", name)
		if len(content) > config.MaxDocument {
			assert.Contains(t, r.out, ":1:1: too-large: 65537 bytes", "%s: no more is read", name)
		}
	}
}
