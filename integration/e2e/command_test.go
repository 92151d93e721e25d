package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

// TestTheCommandReadsWhatIsLive runs graylane lint and explain on a Nacos.
func TestTheCommandReadsWhatIsLive(t *testing.T) {
	command := filepath.Join(t.TempDir(), "graylane")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", command, "./cmd/graylane")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
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
