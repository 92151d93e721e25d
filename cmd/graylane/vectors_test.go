package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/explain"
)

// decideVector is one case of an independent evaluator of the rule language.
type decideVector struct {
	Name, Service                string
	Rules, Global                *string
	Instances, Requests, Answers []json.RawMessage
}

// args writes the case's files and returns the command line, and the requests.
func (v *decideVector) args(dir string) (args []string, requests string, err error) {
	put := func(flag, name string, content []byte) {
		path := filepath.Join(dir, name)
		args = append(args, flag, path)
		if e := os.WriteFile(path, content, 0o600); e != nil {
			err = e
		}
	}
	args = []string{"explain", "--service", v.Service, "--requests", "-", "--json"}
	put("--instances", "instances", bytes.Join(raw(v.Instances), []byte("\n")))
	if v.Rules != nil {
		put("--rules", "rules", []byte(*v.Rules))
	}
	if v.Global != nil {
		put("--global", "global", []byte(*v.Global))
	}
	return args, string(bytes.Join(raw(v.Requests), []byte("\n\n"))) + "\n", err
}

func raw(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, m := range list {
		out[i] = m
	}
	return out
}

// vectors reads a file of cases.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	var all []T
	for line := range bytes.Lines(data) {
		var v T
		require.NoError(t, json.Unmarshal(line, &v))
		all = append(all, v)
	}
	return all
}

// Three of the evaluator's documents have a value that the language takes only in
// quotes (1e3, y).
func plainValue(name string) bool {
	return slices.Contains([]string{"case-31", "case-50", "case-79"}, name)
}

func TestExplainAgreesWithTheEvaluator(t *testing.T) {
	dir := t.TempDir()
	answers, refused := 0, 0
	for _, v := range vectors[decideVector](t, "../../balancer/testdata/decide.jsonl") {
		args, requests, err := v.args(dir)
		require.NoError(t, err)
		r := graylane(t, requests, args...)
		if plainValue(v.Name) {
			refused++
			assert.Equal(t, exitFailed, r.code)
			assert.Empty(t, r.out)
			assert.Contains(t, r.err, ": needs-quotes: ")
			continue
		}
		require.Equal(t, exitOK, r.code, "%s: %s", v.Name, r.err)
		lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
		require.Len(t, lines, len(v.Answers), v.Name)
		for i, line := range lines {
			answers++
			require.JSONEq(t, string(v.Answers[i]), line, "%s, request %s", v.Name, v.Requests[i])
		}
	}
	assert.Equal(t, []int{1176, 3}, []int{answers, refused})
}

// For each case the way it is explained to a person is walked, too.
func TestPageOfEveryVectorNamesItsTarget(t *testing.T) {
	dir := t.TempDir()
	for _, v := range vectors[decideVector](t, "../../balancer/testdata/decide.jsonl") {
		args, requests, err := v.args(dir)
		require.NoError(t, err)
		r := graylane(t, requests, slices.DeleteFunc(args, func(a string) bool { return a == "--json" })...)
		if plainValue(v.Name) {
			continue
		}
		require.Equal(t, exitOK, r.code, "%s: %s", v.Name, r.err)
		pages := strings.Split(r.out, "\n\n")[1:]
		require.Len(t, pages, len(v.Answers), "%s\n%s", v.Name, r.out)
		for i, p := range pages {
			var want explain.Answer
			require.NoError(t, json.Unmarshal(v.Answers[i], &want))
			_, outcome, _ := strings.Cut(p, "\n  →       ")
			require.Contains(t, outcome, want.Target, v.Name)
			require.Contains(t, outcome, want.Error, v.Name)
			require.Equal(t, want.Error == "no_instance", strings.Contains(outcome, "503"), "%s\n%s", v.Name, p)
			require.Equal(t, want.Fallback == "panic", strings.Contains(outcome, "unhealthy"), "%s\n%s", v.Name, p)
			require.Equal(t, want.Fallback == "any", strings.Contains(outcome, "any instance"), "%s\n%s", v.Name, p)
			for line := range strings.Lines(p) {
				require.LessOrEqual(t, len([]rune(line)), 81, "%s\n%s", v.Name, p)
			}
		}
	}
}

// lintVector is a document and its problems.
type lintVector struct {
	Name, File, Text string
	Problems         []lintFound
}

type lintFound struct {
	Line           int
	Code, Severity string
}

func TestLintAgreesWithTheEvaluator(t *testing.T) {
	dir := t.TempDir()
	all := vectors[lintVector](t, "../../config/testdata/lint.jsonl")
	for _, v := range all {
		path := filepath.Join(dir, v.File)
		require.NoError(t, os.WriteFile(path, []byte(v.Text), 0o600))
		r := graylane(t, "", "lint", "--json", path)
		assert.Empty(t, r.err, v.Name)

		var got []lintFound
		code := exitOK
		for line := range strings.Lines(r.out) {
			var p wireProblem
			require.NoError(t, json.Unmarshal([]byte(line), &p))
			assert.Equal(t, path, p.File)
			assert.Positive(t, p.Col)
			assert.NotEmpty(t, p.Message)
			if p.Code == "syntax" && len(v.Problems) == 1 { // The parser's own line may be one off.
				assert.InDelta(t, v.Problems[0].Line, p.Line, 1)
				p.Line = v.Problems[0].Line
			}
			if p.Severity == "error" {
				code = exitFailed
			}
			got = append(got, lintFound{p.Line, p.Code, p.Severity})
		}
		assert.ElementsMatch(t, v.Problems, got, v.Name)
		assert.Equal(t, code, r.code, v.Name)
	}
	assert.Len(t, all, 84)
}
