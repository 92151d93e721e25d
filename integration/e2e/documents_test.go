package e2e

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestLastGoodDocumentStaysInForce(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const requests = 200
		s.provideAll("v1", "v2")
		said := make(chan error, 100)
		c := s.consume(graylane.WithHooks(resolver.Hooks{OnError: func(_ registry.Service, err error) { said <- err }}))
		c.sees(2)
		good := s.publish("gray: v1\ndefault: v2\n")
		c.follows(good)
		check := func(after string) {
			for _, protocol := range protocols() {
				from := s.recorder.Now()
				c.send(protocol, requests, 4, anyone)
				for _, a := range s.attempts(protocol, from) {
					require.Equal(t, "v2", a.Version, "after %s", after)
					require.Equal(t, good.Revision(), a.Rules)
				}
			}
		}

		bad := s.publishBad("gray: v1\ndefault: v1\nrules:\n- name: one\n  too: v2\n  to: {v2: 120%}\n")
		var refused *resolver.RefusedError
		s.hears(said, func(err error) bool { return errors.As(err, &refused) })
		assert.Equal(t, bad.Revision(), refused.MD5)
		assert.Equal(t, "gray."+s.service+".yaml", refused.DataID)
		require.Len(t, refused.Problems, 2, "all problems at once: %v", refused.Problems)
		for i, want := range []struct {
			line, col int
			code      string
		}{{5, 3, "unknown-field"}, {6, 12, "bad-percent"}} {
			p := refused.Problems[i]
			assert.Equal(t, want.line, p.Line)
			assert.Equal(t, want.col, p.Col)
			assert.Equal(t, want.code, p.Code)
		}
		figure(t, "a bad document is refused, %d requests go on by the last good one: %q", 2*requests, refused.Problems.Error())
		check("a bad document")

		s.remove()
		s.hears(said, func(err error) bool { return errors.Is(err, resolver.ErrDocumentGone) })
		check("the removal")
		figure(t, "a removed document stays in force, and is said to be gone")
		s.flawless()
	})
}

// hears waits until the wanted error was said.
func (s *stage) hears(said <-chan error, wanted func(error) bool) {
	s.t.Helper()
	ctx, cancel := s.within()
	defer cancel()
	for {
		select {
		case err := <-said:
			if wanted(err) {
				return
			}
		case <-ctx.Done():
			require.FailNow(s.t, "no such error was reported")
		}
	}
}
