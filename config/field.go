package config

// Field is a compiled FIELD of the rule language: one property of a request.
type Field struct {
	kind   fieldKind
	name   string // as written, without the kind
	header HeaderName
}

type fieldKind uint8

const (
	fieldHeader fieldKind = iota
	fieldPath
	fieldMethod
	fieldUser
	fieldLane
)

// Value returns the field's value in r, false if the field is absent. A value
// of more than MaxValue bytes is absent. Caller holds the labels of this process.
func (f *Field) Value(r Request, caller map[string]string) (string, bool) {
	v, ok := "", false
	switch f.kind {
	case fieldHeader:
		v, ok = r.Header(f.header)
	case fieldPath:
		v, ok = r.Path(), true
	case fieldMethod:
		v, ok = r.Method(), true
	case fieldUser:
		v = r.User()
		ok = v != ""
	case fieldLane:
		v = r.Lane()
		ok = v != ""
	}
	if !ok || len(v) > MaxValue {
		return "", false
	}
	return v, true
}
