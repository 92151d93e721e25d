package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

// command builds graylane.
func command(t *testing.T) string {
	t.Helper()
	command := filepath.Join(t.TempDir(), "graylane")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", command, "./cmd/graylane")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return command
}

// TestTheCommandsOfTheReadme runs them as they stand there, on the document that stands
// there; who types them says yes.
func TestTheCommandsOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	block := func(language, with string) string {
		for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(readme), -1) {
			if strings.Contains(m[1], with) {
				return m[1]
			}
		}
		require.Fail(t, "no block of the README has "+with)
		return ""
	}
	document, lines := block("yaml", "gray: v1"), strings.Split(block("sh", "graylane publish"), "\n")
	graylane := command(t)
	forEachServer(t, func(s *stage) {
		t, dir, ran, embedded := s.t, t.TempDir(), 0, s.nacos.console == s.nacos.addr
		run := func(args ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), graylane, args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "NACOS_ADDR="+s.nacos.addr)
			said, err := cmd.CombinedOutput()
			return string(said), err
		}
		providers := s.provideAll("v1", "v2")
		c := s.consume()
		c.sees(len(providers))
		c.follows(s.publish("gray: v1\ndefault: v1\n"))
		require.NoError(t, os.WriteFile(filepath.Join(dir, config.ServiceDocID(s.service)), []byte(document), 0o600))
		require.Eventually(t, func() bool { // the consumer has announced itself
			said, err := run("status", s.service)
			return err == nil && strings.Contains(said, "1 of 1 consumer")
		}, patience, 100*time.Millisecond)
		for _, line := range lines {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "graylane" || embedded && (words[1] == "history" || words[1] == "rollback") {
				continue
			}
			ran++
			last := strings.ReplaceAll(strings.ReplaceAll(words[2], "gray.user.yaml", config.ServiceDocID(s.service)), "user", s.service)
			args := []string{words[1], last}
			if words[1] == "publish" || words[1] == "rollback" {
				args = append(args, "--yes")
			}
			said, err := run(args...)
			require.NoError(t, err, "%s: %s", line, said)
			if len(args) == 3 {
				assert.Contains(t, said, "applied by 1 of 1 consumer", line)
			}
		}
		assert.GreaterOrEqual(t, ran, 3)
	})
}

// TestTheCommandReadsWhatIsLive runs graylane lint and explain on a Nacos.
func TestTheCommandReadsWhatIsLive(t *testing.T) {
	command := command(t)
	forEachServer(t, func(s *stage) {
		t := s.t
		providers := s.provideAll("v1", "v2")
		c := s.consume()
		c.sees(len(providers))
		c.follows(s.publish("gray: v1\ndefault: v1\ntargets: {v1: {version: v1}, v2: {version: v2}, v9: {version: v9}}\n" +
			"rules: [{name: testers, when: {header.x-tester: \"yes\"}, to: v2}]\n"))
		run := func(stdin string, args ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), command, args...)
			cmd.Stdin = strings.NewReader(stdin)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}

		said, err := run("", "lint", "--nacos", s.nacos.addr, s.service)
		require.NoError(t, err, said)
		assert.Contains(t, said, config.ServiceDocID(s.service)+":3:49: no-instance: ")

		said, err = run(`{"id":"r1","headers":{"X-Tester":["yes"]}}`+"\n"+`{"id":"r2"}`,
			"explain", "--nacos", s.nacos.addr, "--service", s.service, "--requests", "-", "--json")
		require.NoError(t, err, said)
		assert.Contains(t, said, `{"id":"r1","via":"rule","rule":"testers","slot":-1,"target":"v2","fallback":"","skipped":[],"candidates":["127.0.0.1:`)
		assert.Contains(t, said, `{"id":"r2","via":"default","rule":"","slot":-1,"target":"v1",`)

		s.publishBad("gray: v1\ndefalt: v1\n")
		require.Eventually(t, func() bool { // a real Nacos reads back what it published a little later
			said, err = run("", "lint", "--nacos", s.nacos.addr, s.service)
			return err != nil
		}, patience, time.Millisecond)
		assert.Contains(t, said, config.ServiceDocID(s.service)+`:2:1: unknown-field: there is no field "defalt", did you mean "default"?`)
	})
}
