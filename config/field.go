package config

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Field is a compiled FIELD of the rule language: one property of a request.
type Field struct {
	kind   fieldKind
	name   string     // as written, without the kind
	header HeaderName // where the value is found, for header.NAME and tag.NAME
	memo   uint8      // its place in a Lookup plus 1; 0: it has none
}

type fieldKind uint8

const (
	fieldHeader fieldKind = iota
	fieldCookie
	fieldQuery
	fieldPath
	fieldMethod
	fieldUser
	fieldLane
	fieldTag
	fieldCaller
)

// parseField reads a FIELD as it is written in a document.
func parseField(s string) (f Field, ok bool) {
	switch s {
	case "path":
		return Field{kind: fieldPath}, true
	case "method":
		return Field{kind: fieldMethod}, true
	case "user":
		return Field{kind: fieldUser}, true
	case "lane":
		return Field{kind: fieldLane}, true
	}
	kind, name, _ := strings.Cut(s, ".")
	switch kind {
	case "header":
		return Field{kind: fieldHeader, name: name, header: NewHeaderName(name)}, token(name)
	case "cookie":
		return Field{kind: fieldCookie, name: name}, name != ""
	case "query":
		return Field{kind: fieldQuery, name: name}, name != ""
	case "tag":
		return Field{kind: fieldTag, name: name, header: NewHeaderName("x-tag")}, labelName(name)
	case "caller":
		return Field{kind: fieldCaller, name: name}, labelName(name)
	}
	return Field{}, false
}

// token reports whether s is an HTTP token, as a header's name is.
func token(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// labelName reports whether s may name a label.
func labelName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Value returns the field's value in r, false if the field is absent. A value
// of more than MaxValue bytes is absent. Caller holds the labels of this
// process, its service's name as "service". Value does not allocate.
func (f *Field) Value(r Request, caller map[string]string) (string, bool) {
	v, ok := "", false
	switch f.kind {
	case fieldHeader, fieldTag:
		v, ok = r.Header(f.header)
	case fieldCookie:
		v, ok = r.Cookie(f.name)
	case fieldQuery:
		v, ok = r.Query(f.name)
	case fieldPath:
		v, ok = r.Path(), true
	case fieldMethod:
		v, ok = r.Method(), true
	case fieldUser:
		v = r.User()
		ok = v != ""
	case fieldLane:
		v = r.Lane()
		ok = ValidName(v) // another lane is none
	case fieldCaller:
		v, ok = caller[f.name]
	}
	if !ok || len(v) > MaxValue {
		return "", false
	}
	if f.kind == fieldTag {
		return tagValue(v, f.name)
	}
	return v, true
}

// tagValue returns one tag of a header "k=v,k2=v2" of at most MaxValue bytes. A
// malformed header has none.
func tagValue(header, name string) (value string, ok bool) {
	// Hashes, since the sender chooses the keys: comparing 256 with each other
	// would take half a millisecond. A pair has 4 bytes with its comma.
	var seen [MaxValue/4 + 1]uint64
	for n := range seen {
		pair, rest, more := strings.Cut(header, ",")
		key, v, found := strings.Cut(strings.Trim(pair, " "), "=")
		if !found || v == "" || !labelName(key) {
			break
		}
		hash := xxhash.Sum64String(key)
		if slices.Contains(seen[:n], hash) {
			break
		}
		seen[n] = hash
		if key == name {
			value, ok = v, true
		}
		if !more {
			return value, ok
		}
		header = rest
	}
	return "", false
}
