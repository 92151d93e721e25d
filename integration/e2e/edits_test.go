package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

func TestTrafficFollowsTheConsole(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		stays, moves, leaves := s.provide("v1", nil), s.provide("v1", nil), s.provide("v2", nil)
		all := []*provider{stays, moves, leaves}
		c := s.consume()
		c.sees(len(all))
		c.follows(s.publish(byHeader))
		of := func(i int) ask { return ask{version: []string{"", "v2"}[i%2]} }
		for _, protocol := range protocols() {
			c.warmUp(protocol, all, of)
		}
		connected := connections("grpc", all)
		stop := c.steadily(4*time.Millisecond, 2, of)
		defer stop()
		e := edits{stage: s, consumer: c, of: of}

		e.play("version v1 → v2", moves, func(h *host) { h.Metadata["version"] = "v2" }, "v2")
		e.play("enabled = false", leaves, func(h *host) { h.Enabled = false }, nobody)
		e.play("enabled = true", leaves, func(h *host) { h.Enabled = true }, "v2")
		e.play("weight = 0", leaves, func(h *host) { h.Weight = 0 }, nobody)
		e.play("weight = 1", leaves, func(h *host) { h.Weight = 1 }, "v2")
		e.play("version v2 → v1", moves, func(h *host) { h.Metadata["version"] = "v1" }, "v1")
		stop()

		report := s.flawless()
		// A disabled instance vanishes from the list, and its connection with it.
		back := connections("grpc", []*provider{leaves}) - 1
		assert.LessOrEqual(t, back, int64(1))
		assert.Equal(t, connected, connections("grpc", all)-back, "gRPC connections to instances that stayed")
		figure(t, "%d requests, %d misrouted, %d failed; %d gRPC connections at first, 0 opened for edits of version and weight, %d for enabled",
			report.Requests, report.Misrouted, report.Failed, connected, back)
	})
}

// nobody is served by an instance that is out of traffic.
const nobody = ""

// edits plays edits under load.
type edits struct {
	stage    *stage
	consumer *consumer
	of       func(i int) ask
}

// play edits both instances of a provider, waits until the consumer knows, and
// checks that from then on they serve those who belong to the version; it prints
// how long they served others.
func (e *edits) play(what string, p *provider, change func(*host), version string) {
	s := e.stage
	s.t.Helper()
	sent, answered := s.recorder.Now(), map[string]int64{}
	for protocol, ln := range p.servers {
		s.ended(ln.addr, s.recorder.Now())
		if version != nobody {
			s.started(protocol, judge.Instance{
				Service: s.service, Addr: ln.addr, Version: p.version,
				Labels: map[string]string{"version": version}, From: s.recorder.Now(),
			})
		}
		answered[protocol] = s.edit(ln.addr, change)
	}
	for _, protocol := range protocols() {
		addr := p.servers[protocol].addr
		e.consumer.awaitOn(protocol, what, func(st *resolver.State) bool { return servesFor(st, addr) == version })
		knew := s.recorder.Now()
		if version != nobody {
			e.consumer.reach(protocol, p, e.of)
		}
		e.consumer.send(protocol, 200, 4, e.of)
		served := 0
		last := answered[protocol]
		for _, a := range s.attempts(protocol, sent) {
			asked := a.Headers["x-gray-version"]
			switch {
			case a.Addr != addr:
			case version != nobody && (asked == version || asked == "" && version == "v1"):
				served++
			default:
				last = max(last, a.Start)
				assert.Less(s.t, a.Begin, knew, "%s: request %s for version %q, after the consumer knew", what, a.ID, asked)
			}
		}
		assert.Equal(s.t, version != nobody, served > 0, "%s: %s is in traffic", what, addr)
		figure(s.t, "%s, %s: known %s after the answer, last request by the old list after %s", what, protocol,
			since(answered[protocol], knew), since(answered[protocol], last))
	}
}

func since(from, to int64) time.Duration {
	return time.Duration(to - from).Round(100 * time.Microsecond)
}

// servesFor returns the version of the instance at addr, as far as it may get
// traffic.
func servesFor(st *resolver.State, addr string) string {
	for _, in := range st.Snapshot.All() {
		if in.Addr == addr && in.Enabled && in.Healthy && in.Weight > 0 {
			return in.Metadata[registry.KeyVersion]
		}
	}
	return nobody
}

func TestWeightsOfTheConsole(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const requests = 6_000
		providers := s.provideAll("v1", "v1", "v1")
		c := s.consume()
		c.sees(len(providers))
		for _, protocol := range protocols() {
			c.warmUp(protocol, providers, anyone)
			for i, p := range providers {
				s.edit(p.servers[protocol].addr, func(h *host) { h.Weight = 0.5 * float64(i+1) })
			}
			c.awaitOn(protocol, "the weights", func(st *resolver.State) bool {
				sum := uint32(0)
				for _, in := range st.Snapshot.All() {
					sum += in.Weight
				}
				return sum == 3*registry.DefaultWeight && weightAt(st, providers[0].servers[protocol].addr) == registry.DefaultWeight/2
			})
			from := s.recorder.Now()
			c.send(protocol, requests, 8, anyone)
			counts := instances(s.attempts(protocol, from), "v1")
			var served []int
			for i, p := range providers {
				served = append(served, counts[p.servers[protocol].addr])
				assert.InDelta(t, requests*(i+1)/6, served[i], 6)
			}
			figure(t, "%s: weights 0.5 : 1 : 1.5 served %v of %d requests", protocol, served, requests)
		}
		s.flawless()
	})
}

func weightAt(st *resolver.State, addr string) uint32 {
	for _, in := range st.Snapshot.All() {
		if in.Addr == addr {
			return in.Weight
		}
	}
	return 0
}

func TestProtocolsOfOneNameKeepApart(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const requests = 1_000
		overHTTP, overGRPC := s.newProvider("v1", nil), s.newProvider("v2", nil)
		overHTTP.serveHTTP(s.service, http.HandlerFunc(overHTTP.hello))
		overGRPC.serveGRPC(s.service)
		c := s.consume()
		c.sees(1)
		for _, protocol := range protocols() {
			c.send(protocol, requests, 4, anyone)
		}
		report := s.flawless()
		require.Equal(t, map[string]int{"v1": requests, "v2": requests}, report.Versions)
		figure(t, "%d requests of each protocol, none on the port of the other", requests)
	})
}
