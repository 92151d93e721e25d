package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Why says why the condition does not hold for the request that l reads, in the
// words of the document; "" if it holds.
func (c *Condition) Why(l *Lookup) string {
	if c.when != nil && !oneHolds(c.when, l) {
		reasons := make([]string, len(c.when))
		for i, clause := range c.when {
			for j := range clause {
				if !clause[j].holds(l) {
					reasons[i] = clause[j].found(l) + ", not " + clause[j].test.String()
					break
				}
			}
		}
		return "when: " + strings.Join(reasons, "; ")
	}
	for _, clause := range c.unless {
		if clause.holds(l) {
			reasons := make([]string, len(clause))
			for j := range clause {
				reasons[j] = clause[j].found(l)
			}
			return "unless: " + strings.Join(reasons, " and ")
		}
	}
	return ""
}

// String returns the condition in words, "" if it always holds.
func (c *Condition) String() string {
	words := inWords(c.when)
	if c.unless == nil {
		return words
	}
	return strings.TrimSpace(words + " unless " + inWords(c.unless))
}

func inWords(clauses []clause) string {
	either := make([]string, len(clauses))
	for i, clause := range clauses {
		all := make([]string, len(clause))
		for j := range clause {
			all[j] = clause[j].field.String() + " is " + clause[j].test.String()
		}
		either[i] = strings.Join(all, " and ")
	}
	return strings.Join(either, ", or ")
}

// found says what the request has.
func (c *check) found(l *Lookup) string {
	value, ok := l.Value(&c.field)
	if !ok {
		return c.field.String() + " is absent"
	}
	return c.field.String() + " is " + quote(value)
}

// String returns the FIELD as it is written in documents.
func (f *Field) String() string {
	kind := fieldKinds()[f.kind]
	if f.name == "" {
		return kind
	}
	return kind + "." + f.name
}

// fieldKinds returns how FIELDs begin, by their fieldKind.
func fieldKinds() [9]string {
	return [...]string{"header", "cookie", "query", "path", "method", "user", "lane", "tag", "caller"}
}

// String returns the test in words.
func (t *test) String() string {
	switch t.op {
	case opEqual:
		values := make([]string, len(t.values))
		for i, v := range t.values {
			values[i] = quote(v)
		}
		return map[bool]string{true: "other than "}[t.negated] + strings.Join(values, " or ")
	case opPrefix:
		return "beginning with " + quote(t.affix)
	case opSuffix:
		return "ending with " + quote(t.affix)
	case opRegex:
		return "matching " + strconv.Quote(t.pattern)
	case opRange:
		return fmt.Sprintf("a number from %s to %s", t.low, t.high)
	case opExists:
	}
	return map[bool]string{true: "absent", false: "present"}[t.negated]
}

// String returns the number.
func (d decimal) String() string {
	s := d.integer
	if s == "" {
		s = "0"
	}
	if d.fraction != "" {
		s += "." + d.fraction
	}
	if d.negative {
		s = "-" + s
	}
	return s
}
