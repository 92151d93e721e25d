package httpx

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Route says where a gateway sends a request: the URL by which a client would
// ask the service, such as "http://user/hello?x=1", or nil if there is none. The
// scheme is the protocol between gateway and service, see [Transport].
//
// A route takes only services from a list that it knows. If callers could choose
// the name they would reach every service of the registry, and each name is
// watched from then on.
//
// [ByHost] and [ByPath] are ready-made; a function around one of them can change
// what it returns, to speak another protocol or to keep a prefix.
type Route func(*http.Request) *url.URL

// ByHost routes by the host that a request names, without its port and whatever
// its case, to the service of that host: {"user.example.com": "user"}. The path
// stays.
func ByHost(services map[string]string) Route {
	byHost := make(map[string]string, len(services))
	for host, service := range services {
		byHost[strings.ToLower(host)] = service
	}
	return func(r *http.Request) *url.URL {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		service, ok := byHost[strings.ToLower(host)]
		if !ok {
			return nil
		}
		return serviceURL(service, r.URL.Path, r.URL.RawPath, r)
	}
}

// ByPath routes by the first segments of a request's path to the service of that
// prefix, and takes the prefix off: with {"/user": "user"} the request for
// "/user/hello" is sent to user as "/hello". Of several prefixes the longest
// counts; "/" is everything else. A slash at a prefix's end makes no difference.
func ByPath(services map[string]string) Route {
	type entry struct{ prefix, service string }
	entries := make([]entry, 0, len(services))
	for prefix, service := range services {
		entries = append(entries, entry{strings.TrimSuffix(prefix, "/"), service})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(len(b.prefix), len(a.prefix)), strings.Compare(a.prefix, b.prefix))
	})
	return func(r *http.Request) *url.URL {
		for _, e := range entries {
			path, ok := strings.CutPrefix(r.URL.Path, e.prefix)
			if !ok || path != "" && path[0] != '/' {
				continue
			}
			if raw, ok := cutEscaped(r.URL.RawPath, e.prefix); ok {
				return serviceURL(e.service, path, raw, r)
			}
		}
		return nil
	}
}

// cutEscaped takes as many segments off an escaped path as prefix has, if they
// are the prefix: an escaped slash ends no segment. The path may be "", which
// net/url leaves where nothing needs to be escaped.
func cutEscaped(path, prefix string) (rest string, ok bool) {
	if path == "" {
		return "", true
	}
	slashes := strings.Count(prefix, "/")
	end := strings.IndexFunc(path, func(r rune) bool {
		if r == '/' {
			slashes--
		}
		return slashes < 0
	})
	if end < 0 {
		end = len(path)
	}
	head, err := url.PathUnescape(path[:end])
	return path[end:], err == nil && head == prefix
}

func serviceURL(service, path, raw string, r *http.Request) *url.URL {
	return &url.URL{Scheme: schemeHTTP, Host: service, Path: path, RawPath: raw, RawQuery: r.URL.RawQuery}
}
