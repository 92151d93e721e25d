package config

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// reader walks a document and notes every problem.
type reader struct {
	file     string
	problems Problems
	noted    [2]int                    // how many of each severity are among the problems
	hinted   int                       // how many unknown names were compared with the known ones
	patterns map[string]*regexp.Regexp // those that were compiled
	compiled int                       // what all patterns so far have cost, see MaxCompiled
	// there says whether any instance has such labels; nil: that is not known.
	there func(labels map[string]string) bool
}

func (r *reader) errorf(at place, code, format string, args ...any) {
	r.note(Error, at, code, format, args)
}

func (r *reader) warnf(at place, code, format string, args ...any) {
	r.note(Warning, at, code, format, args)
}

func (r *reader) note(s Severity, at place, code, format string, args []any) {
	if r.full(s) {
		return
	}
	message := fmt.Sprintf(format, args...)
	if r.noted[s] == MaxProblems {
		message += fmt.Sprintf("; the document has more than %d %ss, the others are not reported", MaxProblems, s)
	}
	r.noted[s]++
	r.problems = append(r.problems, Problem{File: r.file, Line: int(at.line), Col: int(at.col), Code: code, Severity: s, Message: message})
}

// full reports whether a further problem of a severity would not be reported.
func (r *reader) full(s Severity) bool { return r.noted[s] > MaxProblems }

// field is one field of a mapping that is read into a T. Read gets values that
// were not refused.
type field[T any] struct {
	name     string
	required bool
	read     func(r *reader, n *node, out *T)
}

// Whether fields whose names start with "x-" may stand in a mapping.
const (
	closed = false
	free   = true
)

// readFields reads a mapping in the order of the table, which is the order in
// which values depend on each other, and not of the document.
func readFields[T any](r *reader, m *node, free bool, fields []field[T], out *T) {
	for _, p := range m.pairs {
		known := func(f field[T]) bool { return f.name == p.key.text }
		switch {
		case p.key.kind != scalar:
			r.want(p.key, scalar)
		case free && strings.HasPrefix(p.key.text, "x-"):
		case !slices.ContainsFunc(fields, known):
			names := func(yield func(string) bool) {
				for i := range fields {
					if !yield(fields[i].name) {
						return
					}
				}
			}
			r.errorf(p.key.place, codeUnknownField, "there is no field %s%s", quote(p.key.text), r.hint(p.key.text, names))
		}
	}
	for _, f := range fields {
		switch n := m.get(f.name); {
		case n == nil && f.required:
			r.errorf(m.start(), codeMissingField, "%q is required", f.name)
		case n != nil && n.kind != refused:
			f.read(r, n, out)
		}
	}
}

// maxHints is how many unknown names of a document are compared with the known
// ones, of which there may be thousands.
const maxHints = 100

// hint names what an unknown name is a slip of.
func (r *reader) hint(unknown string, names iter.Seq[string]) string {
	if r.hinted == maxHints {
		return ""
	}
	r.hinted++
	lower := strings.ToLower(unknown)
	for name := range names {
		if similar(name, unknown) || similar(name, lower) {
			return fmt.Sprintf(", did you mean %s?", quote(name))
		}
	}
	return ""
}

// String names the kind in messages.
func (k kind) String() string {
	return [...]string{"a refused value", "a single value", "a list", "a map"}[k&3]
}

// want reports whether n is of a kind.
func (r *reader) want(n *node, k kind) bool {
	if n.kind == k {
		return true
	}
	if n.kind != refused && !r.full(Error) {
		got := n.kind.String()
		if n.kind == scalar && n.text == "" && n.plain {
			got = "nothing; a key without a value does not mean that the key is absent"
		}
		r.errorf(n.place, codeWrongType, "%s belongs here, not %s", k, got)
	}
	return false
}

// ambiguous matches what YAML reads as a boolean, a number or null.
var ambiguous = regexp.MustCompile(`\A(|~|null|Null|NULL|[yY]|yes|Yes|YES|[nN]|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|` +
	`[-+]?(0b[01_]+|0o[0-7]+|0x[0-9A-Fa-f_]+|[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|\.(inf|nan)))\z`)

// ambiguous reports whether a node is not safely a string.
func (n *node) ambiguous() bool {
	if n.kind != scalar || !n.plain {
		return false
	}
	// Most texts begin with a letter that none of those does.
	return n.text == "" || strings.IndexByte("~nNyYtTfFoO+-.0123456789", n.text[0]) >= 0 && ambiguous.MatchString(n.text)
}

// str reads a string.
func (r *reader) str(n *node) (string, bool) {
	if !r.want(n, scalar) || r.full(Error) {
		return "", false
	}
	if n.ambiguous() {
		if n.text == "" {
			r.errorf(n.place, codeNeedsQuotes, `no value; "" is the empty string`)
		} else {
			r.errorf(n.place, codeNeedsQuotes, "%s is a string only in quotes", quote(n.text))
		}
		return "", false
	}
	return n.text, true
}

// filled reads a string that is not empty.
func (r *reader) filled(n *node) (string, bool) {
	s, ok := r.str(n)
	if ok && s == "" {
		r.errorf(n.place, codeBadValue, "an empty string")
		return "", false
	}
	return s, ok
}

// name reads a string for which valid holds.
func (r *reader) name(n *node, valid func(string) bool) (string, bool) {
	s, ok := r.str(n)
	if ok && !valid(s) {
		r.errorf(n.place, codeBadName, "%s is no name: letters, digits and . _ - up to 64", quote(s))
		return "", false
	}
	return s, ok
}

// boolean reads a plain true or false.
func (r *reader) boolean(n *node) bool {
	if !n.boolean() {
		r.errorf(n.place, codeWrongType, "plain true or false belongs here")
	}
	return n.text == "true"
}

func (n *node) boolean() bool {
	return n.kind == scalar && n.plain && (n.text == "true" || n.text == "false")
}

// word reads one of a fixed set of words and returns its index, -1 if it is none.
func (r *reader) word(n *node, words ...string) int {
	if !r.want(n, scalar) {
		return -1
	}
	i := slices.Index(words, n.text)
	if i < 0 {
		r.errorf(n.place, codeBadValue, "%s is not one of: %s%s", quote(n.text), strings.Join(words, ", "), r.hint(n.text, slices.Values(words)))
	}
	return i
}

var percents = regexp.MustCompile(`\A(\d+)(?:\.(\d{1,2}))?%\z`)

// percent reads a percent and returns it in slots.
func (r *reader) percent(n *node) (slots int, ok bool) {
	if !r.want(n, scalar) {
		return 0, false
	}
	slots = -1
	if m := percents.FindStringSubmatch(n.text); m != nil {
		// What overflows is above 100% as well.
		if v, err := strconv.Atoi(m[1] + (m[2] + "00")[:2]); err == nil {
			slots = v
		}
	}
	if slots < 0 || slots > Slots {
		r.errorf(n.place, codeBadPercent, "%s is not a percent from 0%% to 100%%, as 10%% or 12.5%%", quote(n.text))
		return 0, false
	}
	return slots, true
}

// field reads a FIELD; nil if it is none.
func (r *reader) field(n *node) *Field {
	if !r.want(n, scalar) {
		return nil
	}
	if f, ok := parseField(n.text); ok {
		return &f
	}
	kinds := "header.NAME, cookie.NAME, query.NAME, path, method, user, lane, tag.NAME, caller.NAME"
	if meant := r.hint(n.text, fieldsLike(n.text)); meant != "" {
		kinds = strings.TrimPrefix(meant, ", ")
	}
	r.errorf(n.place, codeBadField, "%s is no property of a request: %s", quote(n.text), kinds)
	return nil
}

// fieldsLike returns the FIELDs that end as s does.
func fieldsLike(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		_, name, _ := strings.Cut(s, ".")
		for _, kind := range fieldKinds() {
			if name != "" {
				kind += "." + name
			}
			if _, ok := parseField(kind); ok && !yield(kind) {
				return
			}
		}
	}
}

// quote returns a document's text for a message, in at most some 80 bytes.
func quote(s string) string {
	short, more := s, ""
	for limit := 60; ; limit /= 2 {
		if len(s) > limit {
			short, more = cut(s, limit), "..."
		}
		if quoted := strconv.Quote(short); len(quoted) <= 80 {
			return quoted + more
		}
	}
}

// shorten returns the parser's text for a message.
func shorten(s string) string {
	const limit = 200
	if len(s) > limit {
		return cut(s, limit) + "..."
	}
	return s
}

// cut returns the first n bytes of s, without half a character at their end.
func cut(s string, n int) string {
	for i := range utf8.UTFMax {
		if utf8.RuneStart(s[n-i]) {
			return s[:n-i]
		}
	}
	return s[:n] // It is no UTF-8.
}

// similar reports whether two names differ by one slip: a letter that is wrong,
// missing or too much, or two neighbors swapped.
func similar(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 2 && len(b) == 2 {
		return a[0] == b[1] && a[1] == b[0]
	}
	return len(a) <= 1 && len(b) <= 1
}
