package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const byHeader = `gray: v1
default: v1
rules:
- {name: asked-for, by: header.x-gray-version}
`

func TestEveryRequestGoesWhereItAsksOverStandingConnections(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const requests, workers = 20_000, 16
		providers := s.provideAll("v1", "v1", "v1", "v2", "v2")
		c := s.consume()
		c.sees(len(providers))
		rules := s.publish(byHeader)
		c.follows(rules)
		alternating := func(i int) ask {
			if i%2 == 1 {
				return ask{version: "v2"}
			}
			return ask{}
		}
		for _, protocol := range protocols() {
			c.warmUp(protocol, providers, alternating)
			before := connections(protocol, providers)
			from := s.recorder.Now()
			c.send(protocol, requests, workers, alternating)
			took := s.recorder.Now() - from

			opened := connections(protocol, providers) - before
			if protocol == "grpc" {
				assert.Zero(t, opened, "gRPC connections opened after the warm-up")
			}
			figure(t, "%s: %d requests in %.2f s, %d connections before, %d opened after the warm-up",
				protocol, requests, float64(took)/1e9, before, opened)

			log := s.attempts(protocol, from)
			require.Len(t, log, requests, "one attempt for each request")
			for i := range log {
				require.Equal(t, rules.Revision(), log[i].Rules)
			}
		}
		report := s.flawless()
		assert.Equal(t, report.Versions["v1"], report.Versions["v2"], "every other request asked for v2")
		figure(t, "%d requests judged, %d misrouted, %d failed, answers by version %v",
			report.Requests, report.Misrouted, report.Failed, report.Versions)
	})
}

// warmUp makes requests until each instance has served one.
func (c *consumer) warmUp(protocol string, providers []*provider, of func(i int) ask) {
	c.stage.t.Helper()
	for _, p := range providers {
		c.reach(protocol, p, of)
	}
}

// reach makes requests until a provider serves one.
func (c *consumer) reach(protocol string, p *provider, of func(i int) ask) {
	c.stage.t.Helper()
	ctx, cancel := c.stage.within()
	defer cancel()
	ln := p.servers[protocol]
	for before := ln.served.Load(); ln.served.Load() == before; {
		require.NoError(c.stage.t, ctx.Err(), "%s has served no request", ln.addr)
		for i := range 2 { // one of each kind, so that the log stays even
			_, err := c.do(ctx, protocol, of(i))
			require.NoError(c.stage.t, err)
		}
	}
}

// connections counts what the servers of a protocol have accepted.
func connections(protocol string, providers []*provider) (n int64) {
	for _, p := range providers {
		n += p.servers[protocol].conns.Load()
	}
	return n
}
