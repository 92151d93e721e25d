package debug

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// policy lets a page load its own style sheet, send its own form, and nothing else:
// no script at all, wherever it comes from.
const policy = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guardBrowser has the browser keep the page apart from others, and keep no copy.
func guardBrowser(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// refused says why a request is not answered, and what to do; "" if it is.
func (p *Page) refused(r *http.Request) string {
	const next = "; open it on the machine itself or through a tunnel (ssh -L, kubectl port-forward), " +
		"or use debug.WithRemote behind an authorization of your own"
	switch {
	case p.options.remote:
		return ""
	case !loopback(r.RemoteAddr):
		return "this page answers its own machine only" + next
	case forwarded(r.Header):
		return "this request came through a proxy, and the page answers its own machine only" + next
	case !local(r.Host):
		// A foreign site's name that resolves to 127.0.0.1 would let its scripts read
		// the page.
		return "this page answers to localhost and 127.0.0.1 only, not to other names" + next
	}
	return ""
}

// loopback reports whether an "ip:port" is 127.0.0.1 or ::1. The others of 127.0.0.0/8
// are used by who hands on the requests of others: a sidecar of Istio is 127.0.0.6.
func loopback(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	ip := a.Addr().Unmap()
	return ip == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ip == netip.IPv6Loopback()
}

// forwarded reports whether a proxy says that somebody else has asked: it may be on
// this machine, and they not. One that says nothing cannot be told apart.
func forwarded(h http.Header) bool {
	for name := range h {
		switch name {
		case "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
			"X-Real-Ip", "X-Request-Id":
			return true
		}
		if strings.HasPrefix(name, "X-Envoy-") {
			return true
		}
	}
	return false
}

// local reports whether a Host header names this machine in a way that no name server
// has a say in.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && a.Unmap().IsLoopback()
}
