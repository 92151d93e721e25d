package nacosconn

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// find returns the one of ours that a server names, or why there is none. Servers
// name each other by IP address, we may have them by name: then the result has
// our name, which certificates are checked against, and is bound to that address,
// since a name may stand for a whole cluster.
func find(ctx context.Context, ours []server, named server) (server, error) {
	ip, err := netip.ParseAddr(named.host)
	isIP := err == nil
	ip = ip.Unmap()
	for _, s := range ours {
		own, err := netip.ParseAddr(s.host)
		same := strings.EqualFold(s.host, named.host) || isIP && err == nil && own.Unmap() == ip
		if same && s.port == named.port {
			return s, nil
		}
	}
	if isIP {
		ctx, cancel := context.WithTimeout(ctx, setupTimeout)
		defer cancel()
		for _, s := range ours {
			if s.port == named.port && resolves(ctx, s.host, ip) {
				s.ip = ip
				return s, nil
			}
		}
	}
	return server{}, fmt.Errorf("asks us to go to %s, which is not one of the configured servers", named.http())
}

// resolves reports whether ip is an address of a host that is given by name.
func resolves(ctx context.Context, host string, ip netip.Addr) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(ips, func(a netip.Addr) bool { return a.Unmap() == ip })
}
