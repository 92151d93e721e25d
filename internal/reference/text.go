package reference

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// write returns a document's text: the fields of root, and the noise.
func (s Style) write(root mapping, noise []string) string {
	var b strings.Builder
	if s.Flow {
		var fields []string
		for _, e := range root {
			fields = append(fields, s.flow(e.key)+": "+s.flow(e.value))
		}
		return "{" + strings.Join(append(fields, noise...), ", ") + "}\n"
	}
	s.block(&b, root, "")
	for _, line := range noise {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// block writes a map or a list in YAML's block style.
func (s Style) block(b *strings.Builder, n any, indent string) {
	nested := func(start string, v any) {
		b.WriteString(indent + start)
		if empty(v) {
			b.WriteString(" " + s.flow(v) + "\n")
			return
		}
		b.WriteString("\n")
		s.block(b, v, indent+"  ")
	}
	switch n := n.(type) {
	case mapping:
		for _, e := range n {
			nested(s.scalar(e.key)+":", e.value)
		}
	case list:
		for _, v := range n {
			nested("-", v)
		}
	}
}

// empty reports whether there is nothing to write on lines of their own.
func empty(n any) bool {
	switch n := n.(type) {
	case mapping:
		return len(n) == 0
	case list:
		return len(n) == 0
	default:
		return true
	}
}

// flow returns a node in YAML's flow style, which is JSON if s.Flow.
func (s Style) flow(n any) string {
	var parts []string
	switch n := n.(type) {
	case mapping:
		for _, e := range n {
			parts = append(parts, s.scalar(e.key)+": "+s.flow(e.value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		for _, v := range n {
			parts = append(parts, s.flow(v))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return s.scalar(n)
	}
}

func (s Style) scalar(v any) string {
	switch v := v.(type) {
	case literal:
		return string(v)
	case word:
		if s.Flow {
			return strconv.Quote(string(v))
		}
		return string(v)
	case Field:
		return s.quote(string(v))
	default:
		return s.quote(fmt.Sprint(v))
	}
}

// quote writes a string of printable characters so that YAML, and JSON if
// s.Flow, reads it back.
func (s Style) quote(text string) string {
	unprintable := strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	if s.Single && !s.Flow && !unprintable {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return strconv.Quote(text)
}

// ordered yields a map's entries in an order that is the same every time, and
// another one in the long style: the order must not matter.
func ordered[K cmp.Ordered, V any](m map[K]V, backwards bool) iter.Seq2[K, V] {
	keys := slices.Sorted(maps.Keys(m))
	if backwards {
		slices.Reverse(keys)
	}
	return func(yield func(K, V) bool) {
		for _, k := range keys {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
