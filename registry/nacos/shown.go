package nacos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

// ShownError says that Nacos shows an instance of ours to consumers otherwise than
// it was registered, or not at all. [WithOnError] is told once of each set of
// differences. The registration stays as it is: an operator may have meant it.
type ShownError struct {
	ID          string   // of the instance
	Differences []string // such as `version is "v1", registered "v2"`
	Likely      string   // the likely reason
}

func (e *ShownError) Error() string {
	return fmt.Sprintf("nacos: %s is not shown as registered: %s; likely %s", e.ID, strings.Join(e.Differences, "; "), e.Likely)
}

// The likely reasons.
const (
	likelyHidden  = "it was taken offline in the console, or the server forgets it"
	likelyRival   = "another process has registered the same ip:port, or its predecessor is still listed, for up to 35 s"
	likelyOldEdit = "a console edit of the process that had this ip:port before: edits outlive an instance by 60 s, so edit it again"
	likelyPartial = "a console edit that named no weight: Nacos then takes 1"
	likelyEdit    = "a console edit: it covers what is registered, and outlives the instance by 60 s"
	likelyThresh  = "the protection threshold of the service: too few are healthy, so all are shown as healthy"
	likelyLost    = "the server takes it for dead"
)

// attempt is an instance, as it was in a revision, sent over a connection.
type attempt struct {
	conn     *nacosconn.Conn
	revision uint64
}

// place is where an instance is. Of two processes at one place consumers see both,
// and cannot tell them apart.
type place struct {
	addr    netip.AddrPort
	cluster string
}

// verify reads the list and compares it with what was accepted. It returns how long the
// list is.
func (p *publication) verify(ctx context.Context, conn *nacosconn.Conn) int {
	p.mu.Lock()
	revision := p.revision
	p.mu.Unlock()
	info, err := conn.Query(ctx, p.service.Group, p.service.Name)
	if err != nil {
		if ctx.Err() == nil {
			p.client.report(p.service, err)
		}
		return 0
	}
	shown := make(map[place][]*nacosconn.Host, len(info.Hosts))
	for i := range info.Hosts {
		h := &info.Hosts[i]
		if ip, err := netip.ParseAddr(h.IP); err == nil && h.Port > 0 && h.Port <= 65535 {
			at := place{netip.AddrPortFrom(ip, uint16(h.Port)), cmp.Or(h.Cluster, registry.DefaultCluster)}
			shown[at] = append(shown[at], h)
		}
	}
	for _, found := range p.compare(conn, revision, shown) {
		p.client.report(p.service, found)
	}
	return len(info.Hosts)
}

// compare returns what is new about how our instances are shown; if one is missing,
// the set is sent again. But one that an operator has disabled in the console is
// never listed either, and nothing tells it from one that the server forgot. So an
// instance is sent again once, and after that only if it has been listed in between,
// has changed, or the connection is another: each time costs every subscriber a
// push, and it changes nothing for one that is disabled.
func (p *publication) compare(conn *nacosconn.Conn, revision uint64, shown map[place][]*nacosconn.Host) []*ShownError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on != conn || p.revision != revision {
		return nil // we have asked about what was
	}
	var news []*ShownError
	for _, r := range p.members {
		in := &r.instance
		now := attempt{conn, r.since}
		hosts := shown[place{netip.MustParseAddrPort(in.Addr), in.Cluster}]
		var found *ShownError
		switch {
		case len(hosts) > 0:
			r.resent = attempt{}
			found = otherwise(in, hosts)
		case !in.Enabled: // what we have disabled is not listed
		case r.resent != now:
			r.resent = now
			p.accepted = 0
			continue
		default:
			found = &ShownError{in.ID, []string{"it is not listed"}, likelyHidden}
		}
		text := ""
		if found != nil {
			text = found.Error()
		}
		if found != nil && text != r.told {
			news = append(news, found)
		}
		r.told = text
	}
	return news
}

// otherwise compares an instance with the hosts at its place, nil if there is
// nothing to say. An older copy of ours may be among them, from a lost connection.
func otherwise(in *registry.Instance, hosts []*nacosconn.Host) *ShownError {
	boot := in.Metadata[registry.KeyBoot]
	exact := false
	for _, h := range hosts {
		if other := h.Metadata[registry.KeyBoot]; len(hosts) > 1 && other != boot {
			d := fmt.Sprintf("it is listed %d times, also with %s %.64q", len(hosts), registry.KeyBoot, other)
			return &ShownError{in.ID, []string{d}, likelyRival}
		}
		exact = exact || len(differences(in, h)) == 0
	}
	if exact {
		return nil
	}
	h := hosts[len(hosts)-1] // the one that consumers take
	return &ShownError{in.ID, differences(in, h), likely(in, h)}
}

// differences lists what a host has otherwise than the instance. Labels that others
// have added do not count, unless they have a meaning here.
func differences(in *registry.Instance, h *nacosconn.Host) []string {
	var all []string
	add := func(what string, shown, registered any) {
		all = append(all, fmt.Sprintf("%s is %v, registered %v", what, shown, registered))
	}
	if w := registry.Weight(float64(h.Weight)); w != in.Weight {
		add("weight", float64(w)/registry.DefaultWeight, float64(in.Weight)/registry.DefaultWeight)
	}
	if h.Enabled != in.Enabled {
		add("enabled", h.Enabled, in.Enabled)
	}
	if h.Healthy != in.Healthy {
		add("healthy", h.Healthy, in.Healthy)
	}
	keys := slices.AppendSeq(meaningful(), maps.Keys(in.Metadata))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		shown, isShown := h.Metadata[k]
		registered, isRegistered := in.Metadata[k]
		if shown != registered || isShown != isRegistered {
			add(k, label(shown, isShown), label(registered, isRegistered))
		}
	}
	return all
}

func label(v string, ok bool) string {
	if !ok {
		return "absent"
	}
	return fmt.Sprintf("%.64q", v)
}

// meaningful are the labels that rules ask for.
func meaningful() []string {
	return []string{
		registry.KeyVersion, registry.KeyLane, registry.KeyProtocol, registry.KeyBoot,
		registry.KeyEnv, registry.KeyRegion, registry.KeyZone,
	}
}

// likely is the likely reason of a difference.
func likely(in *registry.Instance, h *nacosconn.Host) string {
	weight := registry.Weight(float64(h.Weight))
	rest := *in
	rest.Weight = weight
	switch others := differences(&rest, h); {
	case h.Metadata[registry.KeyBoot] != in.Metadata[registry.KeyBoot]:
		return likelyOldEdit
	case weight != in.Weight && weight == registry.DefaultWeight:
		return likelyPartial
	case len(others) == 1 && h.Healthy && !in.Healthy:
		return likelyThresh
	case len(others) == 1 && !h.Healthy && in.Healthy:
		return likelyLost
	}
	return likelyEdit
}
