package config

import (
	"regexp"
	"slices"
	"strings"
)

// Condition is what a rule asks of a request: its `when`, and not its `unless`.
// It is immutable. The zero value always holds.
type Condition struct {
	when, unless []clause // one of which must hold; nil if not given
}

// clause is a list of checks, all of which must hold.
type clause []check

type check struct {
	field Field
	test  test
}

// Holds reports whether the condition holds for the request that l reads. It does
// not allocate.
func (c *Condition) Holds(l *Lookup) bool {
	return (c.when == nil || oneHolds(c.when, l)) && (c.unless == nil || !oneHolds(c.unless, l))
}

// Always reports whether the condition asks nothing.
func (c *Condition) Always() bool { return c.when == nil && c.unless == nil }

// Needs returns a field of which the condition needs one of some values, nil if it
// is not of that form, and whether it needs nothing else. They are read-only.
func (c *Condition) Needs() (f *Field, values []string, alone bool) {
	if len(c.when) != 1 {
		return nil, nil, false
	}
	for i := range c.when[0] {
		if k := &c.when[0][i]; k.test.op == opEqual && !k.test.negated {
			return &k.field, k.test.values, len(c.when[0]) == 1 && c.unless == nil
		}
	}
	return nil, nil, false
}

func oneHolds(clauses []clause, l *Lookup) bool {
	for _, c := range clauses {
		if c.holds(l) {
			return true
		}
	}
	return false
}

func (c clause) holds(l *Lookup) bool {
	for i := range c {
		if !c[i].holds(l) {
			return false
		}
	}
	return true
}

func (c *check) holds(l *Lookup) bool {
	value, present := l.Value(&c.field)
	return c.test.holds(value, present)
}

type operator uint8

const (
	opEqual operator = iota
	opPrefix
	opSuffix
	opRegex
	opRange
	opExists
)

// test is what is asked of one field's value.
type test struct {
	op operator
	// negated turns the result round, so that an absent field passes: `not`, and
	// `exists: false`.
	negated   bool
	values    []string // opEqual: sorted
	affix     string   // opPrefix, opSuffix
	pattern   string   // opRegex, as written
	regex     *regexp.Regexp
	low, high decimal
}

func (t *test) holds(value string, present bool) bool {
	return (present && t.matches(value)) != t.negated
}

func (t *test) matches(value string) bool {
	switch t.op {
	case opEqual:
		_, found := slices.BinarySearch(t.values, value)
		return found
	case opPrefix:
		return strings.HasPrefix(value, t.affix)
	case opSuffix:
		return strings.HasSuffix(value, t.affix)
	case opRegex:
		return t.regex.MatchString(value)
	case opRange:
		d, ok := parseDecimal(value)
		return ok && t.low.compare(d) <= 0 && d.compare(t.high) <= 0
	case opExists:
	}
	return true
}

// decimal is a decimal number of any length, -?[0-9]+(\.[0-9]+)?, without the
// zeros that do not count.
type decimal struct {
	negative          bool
	integer, fraction string
}

func parseDecimal(s string) (d decimal, ok bool) {
	s, d.negative = strings.CutPrefix(s, "-")
	integer, fraction, dot := strings.Cut(s, ".")
	if !digits(integer) || dot && !digits(fraction) {
		return decimal{}, false
	}
	d.integer = strings.TrimLeft(integer, "0")
	d.fraction = strings.TrimRight(fraction, "0")
	if d.integer == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// compare returns -1, 0 or 1.
func (d decimal) compare(o decimal) int {
	if d.negative != o.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	if d.negative {
		d, o = o, d
	}
	if len(d.integer) != len(o.integer) {
		if len(d.integer) < len(o.integer) {
			return -1
		}
		return 1
	}
	if c := strings.Compare(d.integer, o.integer); c != 0 {
		return c
	}
	return strings.Compare(d.fraction, o.fraction)
}
