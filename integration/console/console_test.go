package console

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/integration/internal/browser"
	"github.com/graylane/graylane/resolver"
)

// release is the service's document with a share of v2.
func release(percent int) string {
	return fmt.Sprintf(`gray: v1
default: v1
rules:
- name: asked-for
  by: header.x-gray-version
- name: some
  to: {v2: %d%%}
`, percent)
}

// TestTheConsoleIsTheSwitchboard plays an operator at Nacos's page. No request
// may fail, or go to a version that the rules in force do not allow.
func TestTheConsoleIsTheSwitchboard(t *testing.T) {
	p := &page{t: t, ctx: browser.Open(t), shots: os.Getenv("SCREENSHOTS")}
	s := newScene(t)
	p.now = s.recorder.Now
	first, second := s.provide("v1"), s.provide("v1")
	s.provide("v2")
	s.consume(3)
	stop := s.load()
	defer stop()
	p.opens(s.nacos.Console())

	rules(s, p)
	weights(s, p, first, second)
	offline(s, p, first)

	stop()
	s.verdict()
}

// rules: create, change, undo, try on one consumer.
func rules(s *scene, p *page) {
	t, dataID := s.t, config.ServiceDocID(service)
	assert.InDelta(t, 1.0/3, s.shares(200)["v2"], 0.05, "without a document each instance has its share")

	s.publishes("the first document", release(0), p.creates(dataID, release(0)))
	assert.Zero(t, s.shares(200)["v2"])

	s.publishes("20 percent", release(20), p.changes(dataID, release(0), release(20)))
	twenty := s.shares(400)["v2"]
	assert.InDelta(t, 0.2, twenty, 0.03)
	s.figure("20 percent is %.1f %%", 100*twenty)

	s.publishes("the rollback", release(0), p.rollsBack(dataID, release(0)))
	assert.Zero(t, s.shares(200)["v2"])

	s.publishes("the beta", release(50), p.triesOn("127.0.0.1", dataID, release(0), release(50)))
	assert.InDelta(t, 0.5, s.shares(200)["v2"], 0.03)
	s.publishes("the end of the beta", release(0), p.stopsTrying())
	assert.Zero(t, s.shares(200)["v2"])
}

// weights: an instance's share of its version.
func weights(s *scene, p *page, heavy, light string) {
	t := s.t
	assert.InDelta(t, 0.5, s.shares(200)[heavy], 0.05)
	c := p.weighs(service, port(t, heavy), 3)
	at := s.await("the weight", func(st *resolver.State) bool { return weight(st, heavy) == 3000 })
	s.figure("a weight is in force %v after the click", since(c.sent, at))
	got := s.shares(400)
	assert.InDelta(t, 0.75, got[heavy], 0.05, "%v", got)
	assert.InDelta(t, 0.25, got[light], 0.05, "%v", got)
}

// offline: the instance of weight 3 out of traffic, and back as it was.
func offline(s *scene, p *page, addr string) {
	t := s.t
	c := p.switches(service, port(t, addr), "3", "Offline", "Online")
	s.leaves(addr, c.sent)
	at := s.await("its leaving", func(st *resolver.State) bool { return weight(st, addr) == 0 })
	s.figure("an instance is out of traffic %v after the click", since(c.sent, at))
	assert.Zero(t, s.shares(200)[addr])

	c = p.switches(service, port(t, addr), "3", "Online", "Offline")
	s.comes(addr, "v1", c.sent)
	at = s.await("its return", func(st *resolver.State) bool { return weight(st, addr) == 3000 })
	s.figure("it is back %v after the click", since(c.sent, at))
	assert.InDelta(t, 0.75, s.shares(400)[addr], 0.05)
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return port
}
