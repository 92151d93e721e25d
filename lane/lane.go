package lane

import (
	"context"
	"slices"
	"strings"
)

// Headers that travel by default, in lower case. Lookups in HTTP headers and
// gRPC metadata are case-insensitive.
const (
	HeaderLane     = "x-gray-lane"
	HeaderVersion  = "x-gray-version"
	HeaderTag      = "x-tag"
	HeaderUser     = "x-user-id"
	HeaderUserType = "x-user-type"
)

// HeaderAttempt is on requests that are sent again, and on those that a server makes
// while it answers such a one: Retry. Who gets it sends nothing again itself.
const HeaderAttempt = "x-gray-attempt"

// Retry is the value of HeaderAttempt.
const Retry = "retry"

// DefaultHeaders returns the names of the headers that a server carries on when
// nothing else is said.
func DefaultHeaders() []string {
	return []string{HeaderLane, HeaderVersion, HeaderTag, HeaderUser, HeaderUserType}
}

// MaxValue is the length in bytes above which a value is not carried.
const MaxValue = 1024

// Carrier is a message's headers.
type Carrier interface {
	// Values returns all values of a header; the name is in lower case and the
	// lookup is case-insensitive. The slice is read-only.
	Values(name string) []string
	// Set replaces all values of a header by one.
	Set(name, value string)
}

// carried is what a context holds. It is immutable: every change makes a copy.
type carried struct {
	user    string // set by the application; "" if only the header speaks
	headers []pair
	retried bool // the request that it is about was sent again, or is about to be
}

type pair struct{ name, value string }

type key struct{}

func from(ctx context.Context) *carried {
	c, _ := ctx.Value(key{}).(*carried)
	return c
}

// With returns a context whose requests are in the given lane. A name that is
// not Valid, "" among them, takes them out of any lane.
func With(ctx context.Context, name string) context.Context {
	if !Valid(name) {
		name = ""
	}
	return WithHeader(ctx, HeaderLane, name)
}

// From returns the lane of the context, "" for none.
func From(ctx context.Context) string {
	v, _ := Header(ctx, HeaderLane)
	return v
}

// WithUser returns a context whose requests are made for the given user. It
// beats the header x-user-id, and is sent on as that header, unless it is no
// header value: more than MaxValue bytes, or control characters. Over gRPC, whose
// metadata is printable ASCII, another one is not sent on.
func WithUser(ctx context.Context, user string) context.Context {
	c := carried{user: user}
	if old := from(ctx); old != nil {
		c.headers, c.retried = old.headers, old.retried
	}
	return context.WithValue(ctx, key{}, &c)
}

// User returns who the context's requests are made for: what WithUser said, or
// else the carried header x-user-id; "" if unknown.
func User(ctx context.Context) string {
	c := from(ctx)
	if c == nil {
		return ""
	}
	if c.user != "" {
		return c.user
	}
	return c.header(HeaderUser)
}

// WithHeader returns a context that carries a header; the name's case does not
// matter. A value that cannot be carried, "" among them, ends its travel. A name
// that is not Carriable is never carried.
func WithHeader(ctx context.Context, name, value string) context.Context {
	name = strings.ToLower(name)
	c := carried{}
	if old := from(ctx); old != nil {
		c.user, c.retried = old.user, old.retried
		c.headers = slices.DeleteFunc(slices.Clone(old.headers), func(p pair) bool { return p.name == name })
	}
	if sendable(value) && Carriable(name) {
		c.headers = append(c.headers, pair{name, value})
	}
	return context.WithValue(ctx, key{}, &c)
}

// Header returns a header that the context carries.
func Header(ctx context.Context, name string) (string, bool) {
	c := from(ctx)
	if c == nil {
		return "", false
	}
	v := c.header(strings.ToLower(name))
	return v, v != ""
}

func (c *carried) header(lower string) string {
	for i := range c.headers {
		if c.headers[i].name == lower {
			return c.headers[i].value
		}
	}
	return ""
}

// WithRetried returns a context whose requests are parts of one that is sent again.
func WithRetried(ctx context.Context) context.Context {
	c := carried{retried: true}
	if old := from(ctx); old != nil {
		c.user, c.headers = old.user, old.headers
	}
	return context.WithValue(ctx, key{}, &c)
}

// Retried reports whether the context's requests are parts of one that is sent again
// by a process before this one, which HeaderAttempt said.
func Retried(ctx context.Context) bool {
	c := from(ctx)
	return c != nil && c.retried
}

// Extract returns a context that carries the named headers of an incoming
// message; what ctx carried before is dropped, but for the user that the
// application named: WithUser beats every header. A header that was sent more than
// once, is empty, has more than MaxValue bytes or a control character is not
// carried, nor is a lane that is not Valid. Names are in lower case.
//
// Where x-gray-lane is among the names, but not in the message, the lane is that
// of the message's W3C baggage.
func Extract(ctx context.Context, m Carrier, names []string) context.Context {
	var c *carried
	for _, name := range names {
		value := ""
		switch vs := m.Values(name); {
		case len(vs) == 1 && sendable(vs[0]) && (name != HeaderLane || Valid(vs[0])):
			value = vs[0]
		case len(vs) == 0 && name == HeaderLane:
			value = BaggageLane(m.Values(HeaderBaggage))
		}
		if value == "" {
			continue
		}
		if c == nil {
			c = &carried{headers: make([]pair, 0, len(names))}
		}
		c.headers = append(c.headers, pair{name, value})
	}
	if vs := m.Values(HeaderAttempt); len(vs) == 1 && vs[0] == Retry {
		if c == nil {
			c = &carried{}
		}
		c.retried = true
	}
	before := from(ctx)
	if before != nil && before.user != "" {
		if c == nil {
			c = &carried{}
		}
		c.user = before.user
	}
	if c == nil && before == nil {
		return ctx
	}
	return context.WithValue(ctx, key{}, c)
}

// Inject writes what ctx carries onto an outgoing message. A header that the
// message has already stays as it is, but for x-user-id: what WithUser said
// replaces it, or empties it if it cannot be sent. The member gray-lane of W3C baggage is made
// to say what the header x-gray-lane says, and taken out where there is none: it
// may have come from outside, by a way that does not know lanes.
func Inject(ctx context.Context, m Carrier) {
	if c := from(ctx); c != nil {
		if c.retried {
			m.Set(HeaderAttempt, Retry)
		}
		switch {
		case c.user == "":
		case sendable(c.user):
			m.Set(HeaderUser, c.user)
		case len(m.Values(HeaderUser)) > 0:
			m.Set(HeaderUser, "") // it names somebody else
		}
		for i := range c.headers {
			if p := &c.headers[i]; len(m.Values(p.name)) == 0 {
				m.Set(p.name, p.value)
			}
		}
	}
	if line, changed := WithBaggageLane(m.Values(HeaderBaggage), Of(m)); changed {
		m.Set(HeaderBaggage, line)
	}
}

// Injects reports whether Inject might have anything to write.
func Injects(ctx context.Context, m Carrier) bool {
	c := from(ctx)
	return c != nil && (c.user != "" || len(c.headers) > 0 || c.retried) ||
		len(m.Values(HeaderLane)) > 0 || len(m.Values(HeaderBaggage)) > 0
}

// Of returns the lane that a message is in: its header x-gray-lane, if it was
// sent once and is a name; else "".
func Of(m Carrier) string {
	vs := m.Values(HeaderLane)
	if len(vs) != 1 || !Valid(vs[0]) {
		return ""
	}
	return vs[0]
}

// UserOf returns who a message is for: what WithUser said, or else the message's
// header x-user-id if it was sent once; "" if unknown.
func UserOf(ctx context.Context, m Carrier) string {
	if c := from(ctx); c != nil && c.user != "" {
		return c.user
	}
	if vs := m.Values(HeaderUser); len(vs) == 1 {
		return vs[0]
	}
	return ""
}

// Carriable reports whether a header of this name, in lower case, may travel: it is
// an HTTP token, and not one of those that belong to a connection or a message
// and not to a request's way: those of RFC 9110 section 7.6.1, the length and the
// host, and gRPC's own.
func Carriable(name string) bool {
	switch name {
	case "", "connection", "content-length", "content-type", "host", "keep-alive", "te", "trailer",
		"transfer-encoding", "upgrade", "user-agent":
		return false
	}
	if strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "grpc-") || strings.HasSuffix(name, "-bin") {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}

// sendable reports whether v may be a header's value: an odd one must not make
// the request fail that carries it.
func sendable(v string) bool {
	return v != "" && len(v) <= MaxValue && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Valid reports whether s is a lane's name: 1 to 64 letters, digits, dots,
// underscores and hyphens, with a letter or digit at both ends.
func Valid(s string) bool {
	if s == "" || len(s) > 64 || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
