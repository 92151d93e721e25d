package httpx

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

// request is an *http.Request as conditions see it, on its way out or in. It is
// one pointer, so that handing it to an interface allocates nothing.
type request struct{ *http.Request }

var _ config.Request = request{}

// Header implements config.Request.
func (r request) Header(name config.HeaderName) (string, bool) {
	if vs := r.Request.Header[name.Canonical]; len(vs) == 1 {
		return vs[0], true
	}
	return "", false
}

// Cookie implements config.Request. It finds what http.Request.Cookie finds, but
// without a list of all cookies.
func (r request) Cookie(name string) (string, bool) {
	for _, line := range r.Request.Header["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			k, v, _ := strings.Cut(textproto.TrimString(part), "=")
			if textproto.TrimString(k) != name {
				continue
			}
			if v, ok := cookieValue(v); ok {
				return v, true
			}
		}
	}
	return "", false
}

// cookieValue takes off the quotes; a value with bytes that RFC 6265 forbids is
// none, but for spaces and commas, which browsers send.
func cookieValue(v string) (string, bool) {
	if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	for i := range len(v) {
		if c := v[i]; c < ' ' || c >= 0x7f || c == '"' || c == ';' || c == '\\' {
			return "", false
		}
	}
	return v, true
}

// Query implements config.Request. It finds what url.ParseQuery finds, but
// without a map; it allocates only where something is escaped.
func (r request) Query(name string) (string, bool) {
	for rest := r.URL.RawQuery; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		if part == "" || strings.Contains(part, ";") {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		if k, err := url.QueryUnescape(k); err != nil || k != name {
			continue
		}
		if v, err := url.QueryUnescape(v); err == nil {
			return v, true
		}
	}
	return "", false
}

// Path implements config.Request. An empty path is sent as "/", and is that.
func (r request) Path() string {
	if r.URL.Path == "" {
		return "/"
	}
	return r.URL.Path
}

// Method implements config.Request.
func (r request) Method() string {
	if r.Request.Method == "" {
		return http.MethodGet
	}
	return r.Request.Method
}

// User implements config.Request.
func (r request) User() string { return lane.UserOf(r.Context(), header(r.Request.Header)) }

// Lane implements config.Request.
func (r request) Lane() string { return lane.Of(header(r.Request.Header)) }

// header is an http.Header as a lane.Carrier.
type header http.Header

// Values implements lane.Carrier.
func (h header) Values(name string) []string { return h[canonical(name)] }

// Set implements lane.Carrier.
func (h header) Set(name, value string) { h[canonical(name)] = []string{value} }

// canonical is http.CanonicalHeaderKey, but allocates nothing for the headers
// that every request is asked for.
func canonical(name string) string {
	switch name {
	case lane.HeaderLane:
		return "X-Gray-Lane"
	case lane.HeaderVersion:
		return "X-Gray-Version"
	case lane.HeaderTag:
		return "X-Tag"
	case lane.HeaderUser:
		return "X-User-Id"
	case lane.HeaderUserType:
		return "X-User-Type"
	case lane.HeaderBaggage:
		return "Baggage"
	case VersionHeader:
		return "X-App-Version"
	}
	return http.CanonicalHeaderKey(name)
}
