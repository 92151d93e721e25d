package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhyAConditionDoesNotHold(t *testing.T) {
	r := request{
		headers: map[string]string{"x-a": "1", "x-empty": "", "x-tag": "env=gray"},
		cookies: map[string]string{"c": "2"}, query: map[string]string{"q": "盐"},
		path: "/pay", method: "GET", user: "u1", lane: "blue",
	}
	caller := map[string]string{"service": "web"}
	for condition, want := range map[string]string{
		// What holds has no reason.
		"when: {user: u1}":                              "",
		"unless: {user: u2}":                            "",
		"when: [{user: u2}, {user: u1}]":                "",
		"when: {user: u1}\n  unless: {path: /x}":        "",
		"when: {header.x-b: {exists: false}}":           "",
		"when: {header.x-b: {not: [a]}}":                "",
		"unless: [{user: u1, path: /x}, {user: other}]": "",

		// Each test.
		`when: {header.X-A: "2"}`:                          `when: header.X-A is "1", not "2"`,
		`when: {header.x-a: ["3", "2"]}`:                   `when: header.x-a is "1", not "2" or "3"`,
		`when: {header.x-a: {not: "1"}}`:                   `when: header.x-a is "1", not other than "1"`,
		`when: {header.x-a: {not: ["2", "1"]}}`:            `when: header.x-a is "1", not other than "1" or "2"`,
		"when: {path: {prefix: /x}}":                       `when: path is "/pay", not beginning with "/x"`,
		"when: {path: {suffix: /x}}":                       `when: path is "/pay", not ending with "/x"`,
		"when: {path: {regex: '/p.'}}":                     `when: path is "/pay", not matching "/p."`,
		"when: {header.x-a: {range: [-02.50, '0.0']}}":     `when: header.x-a is "1", not a number from -2.5 to 0`,
		"when: {header.x-a: {exists: false}}":              `when: header.x-a is "1", not absent`,
		"when: {header.x-b: {exists: true}}":               `when: header.x-b is absent, not present`,
		"when: {header.x-empty: a}":                        `when: header.x-empty is "", not "a"`,
		"when: {header.x-a: ''}":                           `when: header.x-a is "1", not ""`,
		"when: {query.q: a}":                               `when: query.q is "盐", not "a"`,
		"when: {cookie.c: a}":                              `when: cookie.c is "2", not "a"`,
		"when: {method: POST}":                             `when: method is "GET", not "POST"`,
		"when: {lane: green}":                              `when: lane is "blue", not "green"`,
		"when: {tag.env: prod}":                            `when: tag.env is "gray", not "prod"`,
		"when: {tag.k: prod}":                              `when: tag.k is absent, not "prod"`,
		"when: {caller.service: shop}":                     `when: caller.service is "web", not "shop"`,
		"when: {header.x-a: {range: ['1.01', 99999999]}}":  `when: header.x-a is "1", not a number from 1.01 to 99999999`,
		"when: {header.x-b: {range: [0, 1]}, user: other}": `when: header.x-b is absent, not a number from 0 to 1`,

		// Several: the first check of each map that does not hold, and the map of
		// unless that does.
		"when: {user: u1, path: /x, method: POST}":               `when: path is "/pay", not "/x"`,
		"when: [{user: u2}, {path: /pay, header.x-b: a}]":        `when: user is "u1", not "u2"; header.x-b is absent, not "a"`,
		"unless: {user: u1}":                                     `unless: user is "u1"`,
		"unless: {user: u1, header.x-b: {exists: false}}":        `unless: user is "u1" and header.x-b is absent`,
		"unless: [{user: u2}, {path: {prefix: /p}, user: u1}]":   `unless: path is "/pay" and user is "u1"`,
		"when: {user: u2}\n  unless: {path: /pay}":               `when: user is "u1", not "u2"`,
		"when: {user: u1}\n  unless: [{path: /x}, {path: /pay}]": `unless: path is "/pay"`,
	} {
		c := conditionOf(t, condition)
		why := c.Why(lookup(r, caller))
		assert.Equal(t, want, why, condition)
		assert.Equal(t, c.Holds(lookup(r, caller)), why == "", condition)
	}
	assert.Empty(t, new(Condition).Why(lookup(request{}, nil)), "the zero value")
}

// conditionOf compiles a condition, warnings or not.
func conditionOf(t *testing.T, lines ...string) *Condition {
	t.Helper()
	rules, problems := ParseRules("f", "order", []byte(rule(append([]string{"name: a", "by: user"}, lines...)...)))
	if !assert.NoError(t, problems.Err()) {
		t.FailNow()
	}
	return &rules.Rules[0].When
}

func TestWhyQuotesWhatARequestSays(t *testing.T) {
	c := conditionOf(t, "when: {header.x-a: b}")
	for value, want := range map[string]string{
		"\x1b[31m\n":               `when: header.x-a is "\x1b[31m\n", not "b"`,
		"a\xff":                    `when: header.x-a is "a\xff", not "b"`,
		strings.Repeat("x", 61):    `when: header.x-a is "` + strings.Repeat("x", 60) + `"..., not "b"`,
		strings.Repeat("盐", 21):    `when: header.x-a is "` + strings.Repeat("盐", 20) + `"..., not "b"`,
		strings.Repeat("\x00", 9):  `when: header.x-a is "` + strings.Repeat(`\x00`, 9) + `", not "b"`,
		strings.Repeat("\x00", 60): `when: header.x-a is "` + strings.Repeat(`\x00`, 15) + `"..., not "b"`,
		strings.Repeat("\x80", 99): `when: header.x-a is "` + strings.Repeat(`\x80`, 15) + `"..., not "b"`,
		strings.Repeat("x", 1025):  `when: header.x-a is absent, not "b"`,
	} {
		assert.Equal(t, want, c.Why(lookup(request{headers: map[string]string{"x-a": value}}, nil)))
	}
}

func TestAConditionInWords(t *testing.T) {
	for condition, want := range map[string]string{
		"enabled: true": "",
		`when: {header.x-a: ["2", "1"], path: {prefix: /p}}`: `header.x-a is "1" or "2" and path is beginning with "/p"`,
		"when: [{user: u1}, {lane: blue}]":                   `user is "u1", or lane is "blue"`,
		"unless: {header.x-b: {exists: false}}":              "unless header.x-b is absent",
		"when: {user: u1}\n  unless: {path: /x}":             `user is "u1" unless path is "/x"`,
	} {
		assert.Equal(t, want, conditionOf(t, condition).String())
	}
}
