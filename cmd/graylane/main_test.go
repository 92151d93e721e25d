package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"NACOS_ADDR", "NACOS_NAMESPACE", "NACOS_GROUP", "NACOS_USERNAME", "NACOS_PASSWORD"} {
		_ = os.Unsetenv(name)
	}
	goleak.VerifyTestMain(m)
}

// result is what one run of the program left.
type result struct {
	code     int
	out, err string
}

// graylane runs the program.
func graylane(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &out, &err)
	return result{code, out.String(), err.String()}
}

// file writes a file of this name and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestHelpIsShortAndOfEachCommand(t *testing.T) {
	for name := range commands() {
		r := graylane(t, "", "help", name)
		assert.Equal(t, exitOK, r.code)
		assert.Contains(t, r.out, "graylane "+name)
		assert.LessOrEqual(t, strings.Count(r.out, "\n"), 45)
		for line := range strings.Lines(r.out) {
			assert.LessOrEqual(t, len([]rune(line)), 81, "%s", line)
		}
		if name == "help" {
			continue
		}
		for _, flag := range []string{"-h", "--help"} {
			assert.Equal(t, r, graylane(t, "", name, flag))
		}
	}
	overview := graylane(t, "", "help")
	for _, flag := range []string{"-h", "--help"} {
		assert.Equal(t, overview, graylane(t, "", flag))
	}
	assert.Equal(t, result{exitUsage, "", overview.out}, graylane(t, ""), "without a command")
}

func TestVersionNamesTheBuild(t *testing.T) {
	r := graylane(t, "", "version")
	assert.Equal(t, exitOK, r.code)
	assert.Regexp(t, `\Agraylane \S+ go1\.\S+\n\z`, r.out)
}

func TestUsageErrorsAreOneLineThatSaysWhatToDo(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"lnt", `graylane: there is no command "lnt"; see graylane help`},
		{"help lnt", `graylane help: there is no command "lnt"; see graylane help`},
		{"version --x", `graylane version: flag provided but not defined: -x; see graylane help version`},
		{"lint", `graylane lint: no document to check; see graylane help lint`},
		{"lint --jsn a.yaml", `graylane lint: flag provided but not defined: -jsn; see graylane help lint`},
		{"lint a.yaml --instances", `graylane lint: flag needs an argument: -instances; see graylane help lint`},
		{"lint --instances= a.yaml", `graylane lint: invalid value "" for flag -instances: it is empty; see graylane help lint`},
		{"lint --nacos http://x order", `graylane lint: nacos server "http://x": want host:port, without a scheme or path`},
		{"lint --nacos 127.0.0.1:1 --group a/b order", `graylane lint: nacos: invalid: group "a/b" has '/'; allowed are . _ - : letters and digits`},
		{"explain", `graylane explain: --service NAME is missing; see graylane help explain`},
		{"explain --service a", `graylane explain: --requests FILE is missing; see graylane help explain`},
		{"explain --service a --requests -", `graylane explain: --instances FILE is missing, or --nacos ADDR for what is live; see graylane help explain`},
		{"explain --service a b", `graylane explain: "b": explain takes flags alone, as --rules FILE; see graylane help explain`},
		{"explain --service a -- --b", `graylane explain: "--b": explain takes flags alone, as --rules FILE; see graylane help explain`},
		{"explain --service a --rules= --requests -", `graylane explain: invalid value "" for flag -rules: it is empty; see graylane help explain`},
	} {
		r := graylane(t, "", strings.Fields(c.args)...)
		assert.Equal(t, result{exitUsage, "", c.want + "\n"}, r, "graylane %s", c.args)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestOutputThatFailsIsNotSilent(t *testing.T) {
	rules, instances := file(t, "gray.order.yaml", "gray: v2"), file(t, "i", "")
	for _, args := range [][]string{
		{"help"},
		{"version"},
		{"lint", rules},
		{"lint", "--json", rules},
		{"explain", "--service", "a", "--instances", instances, "--requests", "-"},
		{"explain", "--service", "a", "--instances", instances, "--requests", "-", "--json"},
	} {
		var stderr bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), args, strings.NewReader(`{"id":"a"}`), full{}, &stderr), "%v", args)
		assert.Equal(t, "graylane "+args[0]+": disk full\n", stderr.String())
	}
}
