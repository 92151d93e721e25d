package config

import "iter"

// memos is how many recurring fields a Lookup remembers.
const memos = 4

// Lookup reads the fields of one request, for one document: those that the
// document asks for more than once are read once. It is used by one goroutine and
// is not kept.
type Lookup struct {
	request Request
	caller  map[string]string

	// Of the field whose memo is i+1, bit i says whether it was read, whether it
	// is there, and values[i] what it is.
	read, present uint8
	values        [memos]string
}

// NewLookup returns a lookup of r. Caller holds the labels of this process, its
// service's name as "service".
func NewLookup(r Request, caller map[string]string) Lookup {
	return Lookup{request: r, caller: caller}
}

// Value returns a field's value, false if the field is absent. It does not
// allocate.
func (l *Lookup) Value(f *Field) (string, bool) {
	if f.memo == 0 {
		return l.Once(f)
	}
	i := (f.memo - 1) & (memos - 1)
	if l.read>>i&1 == 0 {
		l.read |= 1 << i
		if v, ok := l.Once(f); ok {
			l.present |= 1 << i
			l.values[i] = v
		}
	}
	return l.values[i], l.present>>i&1 != 0
}

// Once is Value for a caller that will not ask again: it remembers nothing.
func (l *Lookup) Once(f *Field) (string, bool) {
	// What most documents ask for, a call less.
	if f.kind == fieldHeader {
		v, ok := l.request.Header(f.header)
		return v, ok && len(v) <= MaxValue
	}
	if f.kind == fieldUser {
		v := l.request.User()
		return v, v != "" && len(v) <= MaxValue
	}
	return f.Value(l.request, l.caller)
}

// memorize gives each field that recurs among those of a document its place in a
// Lookup, as far as there are places.
func memorize(fields iter.Seq[*Field]) {
	type identity struct {
		kind fieldKind
		name string
	}
	id := func(f *Field) identity {
		if f.kind == fieldHeader {
			return identity{f.kind, f.header.Lower}
		}
		return identity{f.kind, f.name}
	}
	count := map[identity]int{}
	for f := range fields {
		count[id(f)]++
	}
	places := map[identity]uint8{}
	for f := range fields {
		i := id(f)
		if _, ok := places[i]; !ok && count[i] > 1 && len(places) < memos {
			places[i] = uint8(len(places) + 1) //nolint:gosec // at most memos
		}
		f.memo = places[i]
	}
}

// ruleListFields returns the FIELDs that rules may ask for, in their order.
func ruleListFields(rules []Rule) iter.Seq[*Field] {
	return func(yield func(*Field) bool) {
		for i := range rules {
			for f := range rules[i].fields() {
				if !yield(f) {
					return
				}
			}
		}
	}
}
