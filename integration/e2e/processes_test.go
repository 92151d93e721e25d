package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/integration/internal/fleet"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/resolver"
)

func TestKilledProviderIsLeft(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		victim := s.process("v1")
		s.process("v1")
		s.process("v2")
		c := s.consume()
		c.sees(3)
		c.follows(s.publish(byHeader))
		stop := c.underLoad()
		defer stop()
		c.passes(100)

		killed := s.recorder.Now()
		require.NoError(t, victim.Kill())
		s.left(victim, killed)
		left := map[string]int64{}
		for _, protocol := range protocols() {
			c.awaitOn(protocol, "the instance to vanish", func(st *resolver.State) bool { return st.Snapshot.Len() == 2 })
			left[protocol] = s.recorder.Now()
		}
		c.passes(100)
		stop()

		report := s.verdict()
		for _, protocol := range protocols() {
			failed := 0
			for _, a := range s.attempts(protocol, 0) {
				if a.Last && a.Error != "" {
					failed++
					assert.Less(t, a.Begin, left[protocol], "%s failed after the list had changed: %s", a.ID, a.Error)
				}
			}
			figure(t, "kill -9 of one of two v1 at 200 requests/s: %s: %d requests failed; the list changed after %s",
				protocol, failed, since(killed, left[protocol]))
		}
		figure(t, "%d requests, %d failed, %d misrouted", report.Requests, report.Failed, report.Misrouted)
	})
}

func TestTerminatedProvidersFailNoRequest(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const rounds = 3
		old := s.process("v1")
		s.process("v2")
		c := s.consume()
		c.sees(2)
		c.follows(s.publish(byHeader))
		stop := c.underLoad()
		defer stop()

		for range rounds {
			next := s.process("v1")
			c.sees(3)
			c.passes(50)
			start := s.recorder.Now()
			require.NoError(t, old.Terminate())
			s.left(old, start)
			require.NoError(t, old.Wait(patience), "a clean end")
			figure(t, "SIGTERM at 200 requests/s: the process ended after %s", since(start, s.recorder.Now()))
			c.await("the instance to vanish", func(st *resolver.State) bool { return st.Snapshot.Len() == 2 })
			old = next
		}
		c.passes(50)
		stop()
		report := s.flawless()
		figure(t, "%d rounds of SIGTERM: %d requests, %d failed, %d misrouted", rounds, report.Requests, report.Failed, report.Misrouted)
	})
}

// underLoad makes 200 requests a second, every other one of which asks for v2.
func (c *consumer) underLoad() (stop func()) {
	return c.steadily(20*time.Millisecond, 2, func(i int) ask { return ask{version: []string{"", "v2"}[i/2%2]} })
}

// passes waits until so many more requests have begun.
func (c *consumer) passes(n int64) {
	c.stage.t.Helper()
	until := c.stage.ids.Load() + n
	require.Eventually(c.stage.t, func() bool { return c.stage.ids.Load() >= until }, patience, 10*time.Millisecond)
}

// process starts a provider in a process of its own, and tells the judge.
func (s *stage) process(version string) *fleet.Process {
	s.t.Helper()
	from := s.recorder.Now()
	p := fleet.Start(s.t, fleet.Provider{Servers: []string{s.nacos.addr}, Service: s.service, Version: version})
	for protocol, addr := range p.Addrs {
		s.started(protocol, judge.Instance{Service: s.service, Addr: addr, Version: version, From: from})
	}
	return p
}

// left notes that a process is no longer to be asked.
func (s *stage) left(p *fleet.Process, at int64) {
	for _, addr := range p.Addrs {
		s.ended(addr, at)
	}
}
