package config

import (
	"slices"
	"strings"
)

// condition reads a map of FIELD and test, or a list of such maps.
func (r *reader) condition(n *node) []clause {
	maps := []*node{n}
	if n.kind == list {
		maps = n.items
	}
	if len(maps) == 0 {
		r.errorf(n.place, codeBadTest, "an empty condition; leave it out")
	}
	var clauses []clause
	for _, m := range maps {
		if r.want(m, mapping) {
			clauses = append(clauses, r.clause(m))
		}
	}
	return clauses
}

func (r *reader) clause(m *node) clause {
	if len(m.pairs) == 0 {
		r.errorf(m.place, codeBadTest, "an empty condition; leave it out")
	}
	var c clause
	seen := make(map[string]place) // headers, in lower case
	for _, p := range m.pairs {
		f := r.field(p.key)
		if f == nil {
			continue
		}
		if f.kind == fieldHeader {
			if first, ok := seen[f.header.Lower]; ok {
				r.errorf(p.key.place, codeDuplicateKey, "this header stands at line %d already", first.line)
				continue
			}
			seen[f.header.Lower] = p.key.place
		}
		if p.value.kind != refused {
			c = append(c, check{field: *f, test: r.test(p.value)})
		}
	}
	return c
}

// test reads what is asked of a FIELD.
func (r *reader) test(n *node) test {
	switch {
	case n.kind != mapping:
		return test{op: opEqual, values: r.compared(n)}
	case len(n.pairs) != 1:
		r.errorf(n.place, codeBadTest, "a test has one key, this one %d", len(n.pairs))
		return test{}
	}
	key, value := n.pairs[0].key, n.pairs[0].value
	if key.kind == refused || value.kind == refused {
		return test{}
	}
	t := test{}
	switch key.text {
	case "prefix":
		t.op = opPrefix
		t.affix, _ = r.operand(value)
	case "suffix":
		t.op = opSuffix
		t.affix, _ = r.operand(value)
	case "regex":
		t.op = opRegex
		t.pattern, t.regex = value.text, r.regex(value)
	case "range":
		t.op = opRange
		t.low, t.high = r.bounds(value)
	case "exists":
		t.op = opExists
		if !value.boolean() {
			r.errorf(value.place, codeBadTest, "exists is plain true or false")
		}
		t.negated = value.text == "false"
	case "not":
		t.values, t.negated = r.compared(value), true
	default:
		tests := []string{"prefix", "suffix", "regex", "range", "exists", "not"}
		r.errorf(key.place, codeBadTest, "there is no test %s; there are: %s%s", quote(key.text), strings.Join(tests, ", "), r.hint(key.text, slices.Values(tests)))
	}
	return t
}

// operand reads a string of a test.
func (r *reader) operand(n *node) (string, bool) {
	if n.kind == list || n.kind == mapping {
		r.errorf(n.place, codeBadTest, "%s belongs here, not %s", scalar, n.kind)
		return "", false
	}
	return r.str(n)
}

// compared reads the string, or the list of strings, that a value may equal.
func (r *reader) compared(n *node) []string {
	items := []*node{n}
	if n.kind == list {
		items = n.items
	}
	if len(items) == 0 {
		r.errorf(n.place, codeBadTest, "an empty list holds for nothing")
	}
	values := make([]string, 0, len(items))
	for _, item := range items {
		if item.kind == refused {
			continue
		}
		if s, ok := r.operand(item); ok {
			values = append(values, s)
		}
	}
	slices.Sort(values)
	return values
}

// bounds reads the two ends of a range.
func (r *reader) bounds(n *node) (low, high decimal) {
	if n.kind != list || len(n.items) != 2 {
		r.errorf(n.place, codeBadRange, "a range is [low, high]")
		return low, high
	}
	low, okLow := r.bound(n.items[0])
	high, okHigh := r.bound(n.items[1])
	if okLow && okHigh && low.compare(high) > 0 {
		r.errorf(n.place, codeBadRange, "%s is above %s", quote(n.items[0].text), quote(n.items[1].text))
	}
	return low, high
}

func (r *reader) bound(n *node) (decimal, bool) {
	if n.kind == refused {
		return decimal{}, false
	}
	if n.kind == scalar {
		if d, ok := parseDecimal(n.text); ok {
			return d, true
		}
	}
	r.errorf(n.place, codeBadRange, "not a decimal number, as 5 or -1.25")
	return decimal{}, false
}
