package config

import "strings"

// MaxValue is the length in bytes above which a value of a request counts as
// absent, wherever it is asked for.
const MaxValue = 1024

// Request is what conditions may ask about a request. Each face has one, and a
// test can have its own. The methods must be cheap and must not allocate; they
// are called by one goroutine at a time.
type Request interface {
	// Header returns the value of a request header or gRPC metadata key; false
	// unless it was sent exactly once.
	Header(name HeaderName) (string, bool)
	// Cookie and Query return the first value of that name; always absent in gRPC.
	Cookie(name string) (string, bool)
	Query(name string) (string, bool)
	// Path is the decoded URL path or the full gRPC method "/pkg.Service/Method".
	Path() string
	// Method is the HTTP method; "POST" for gRPC.
	Method() string
	// User is who the request is for, "" if unknown.
	User() string
	// Lane is the lane that the request is in, "" for none.
	Lane() string
}

// HeaderName is one header's name in both spellings that headers are stored
// under, so that looking one up converts nothing.
type HeaderName struct {
	Canonical string // "X-Gray-Version", as in net/http
	Lower     string // "x-gray-version", as in gRPC metadata
}

// NewHeaderName returns both spellings of name.
func NewHeaderName(name string) HeaderName {
	lower := strings.ToLower(name)
	canonical := []byte(lower)
	start := true
	for i, c := range canonical {
		if start && 'a' <= c && c <= 'z' {
			canonical[i] = c - 'a' + 'A'
		}
		start = c == '-'
	}
	return HeaderName{Canonical: string(canonical), Lower: lower}
}
