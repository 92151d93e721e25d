package serving

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// Edge says whose requests come from outside, what is taken off them before
// anything else sees them, and which lane they enter. The zero Edge trusts
// everybody.
type Edge struct {
	everybody bool
	trusted   []netip.Prefix
	kept      []string
	entrance  *resolver.Entrance // nil: they enter no lane
}

// Close makes all requests come from outside, but for those of trusted peers, and
// keeps the named headers.
func (e *Edge) Close(keep []string) {
	e.everybody = true
	for _, name := range keep {
		e.kept = append(e.kept, strings.ToLower(name))
	}
}

// Trust makes all requests come from outside, but for those from these addresses.
func (e *Edge) Trust(prefixes []netip.Prefix) {
	e.everybody = true
	for _, p := range prefixes {
		e.trusted = append(e.trusted, p.Masked())
	}
}

// Enter makes all requests come from outside, but for those of trusted peers, and
// puts them into lanes.
func (e *Edge) Enter(entrance *resolver.Entrance) {
	e.everybody = true
	e.entrance = entrance
}

// Admit puts a request from outside, which Strip has cleaned, into the lane that it
// enters. A lane that the edge let it keep stays.
func (e *Edge) Admit(ctx context.Context, m lane.Carrier, req config.Request) {
	if e.entrance == nil || lane.Of(m) != "" || lane.BaggageLane(m.Values(lane.HeaderBaggage)) != "" {
		return
	}
	if name := e.entrance.Lane(ctx, req); name != "" {
		m.Set(lane.HeaderLane, name)
	}
}

// Outside reports whether a request of the peer, "ip:port", comes from outside.
func (e *Edge) Outside(peer string) bool {
	if !e.everybody {
		return false
	}
	addr, err := netip.ParseAddrPort(peer)
	ip := addr.Addr().Unmap().WithZone("")
	return err != nil || !slices.ContainsFunc(e.trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Strip takes off a request from outside what only insiders may say: the lane,
// by header and by baggage, the version, and that it is sent again.
func (e *Edge) Strip(m lane.Carrier, remove func(name string)) {
	for _, name := range []string{lane.HeaderLane, lane.HeaderVersion, lane.HeaderAttempt} {
		if !slices.Contains(e.kept, name) {
			remove(name)
		}
	}
	if slices.Contains(e.kept, lane.HeaderBaggage) {
		return
	}
	if line, changed := lane.WithBaggageLane(m.Values(lane.HeaderBaggage), ""); changed {
		remove(lane.HeaderBaggage)
		if line != "" {
			m.Set(lane.HeaderBaggage, line)
		}
	}
}
