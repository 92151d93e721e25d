package config

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// request is a Request of a test.
type request struct {
	headers, cookies, query  map[string]string
	path, method, user, lane string
}

func (r request) Header(name HeaderName) (string, bool) { v, ok := r.headers[name.Lower]; return v, ok }
func (r request) Cookie(name string) (string, bool)     { v, ok := r.cookies[name]; return v, ok }
func (r request) Query(name string) (string, bool)      { v, ok := r.query[name]; return v, ok }
func (r request) Path() string                          { return r.path }
func (r request) Method() string                        { return r.method }
func (r request) User() string                          { return r.user }
func (r request) Lane() string                          { return r.lane }

func lookup(r Request, caller map[string]string) *Lookup {
	l := NewLookup(r, caller)
	return &l
}

// condition compiles the lines of a rule that are its condition.
func condition(t *testing.T, lines ...string) *Condition {
	t.Helper()
	fields := append([]string{"name: a", "by: user"}, lines...)
	return &accept(t, rule(fields...)).Rules[0].When
}

func TestFieldsFindTheirValue(t *testing.T) {
	r := request{
		headers: map[string]string{"x-a": "1", "x-empty": "", "x-tag": "env=gray, k=a=b ,  z=1"},
		cookies: map[string]string{"c": "2"},
		query:   map[string]string{"q.r": "3"},
		path:    "/p", method: "GET", user: "u", lane: "l",
	}
	caller := map[string]string{"service": "web", "zone": ""}
	for field, want := range map[string]string{
		"header.X-A": "1", "header.x-empty": "", "cookie.c": "2", "query.q.r": "3", "path": "/p", "method": "GET", "user": "u", "lane": "l",
		"tag.env": "gray", "tag.k": "a=b", "tag.z": "1", "caller.service": "web", "caller.zone": "",
	} {
		f, ok := parseField(field)
		require.True(t, ok, field)
		got, present := f.Value(r, caller)
		assert.True(t, present, field)
		assert.Equal(t, want, got, field)
	}
	for _, field := range []string{"header.x-b", "cookie.C", "query.q", "tag.v", "tag.Env", "caller.version"} {
		f, ok := parseField(field)
		require.True(t, ok, field)
		_, present := f.Value(r, caller)
		assert.False(t, present, field)
	}
	for _, field := range []string{"user", "lane"} {
		f, _ := parseField(field)
		_, present := f.Value(request{}, nil)
		assert.False(t, present, "%s is present if it is not empty", field)
	}
	lane, _ := parseField("lane")
	_, present := lane.Value(request{lane: "-x"}, nil)
	assert.False(t, present, "a lane that is no name is none")
}

func TestALongValueIsAbsent(t *testing.T) {
	longest := strings.Repeat("x", MaxValue)
	for length, want := range map[string]bool{longest: true, longest + "x": false} {
		r := request{
			headers: map[string]string{"a": length}, cookies: map[string]string{"a": length}, query: map[string]string{"a": length},
			path: length, method: length, user: length, lane: length,
		}
		for _, field := range []string{"header.a", "cookie.a", "query.a", "path", "method", "user", "caller.a"} {
			f, _ := parseField(field)
			_, present := f.Value(r, map[string]string{"a": length})
			assert.Equal(t, want, present, field)
		}
	}
}

func TestAMalformedTagHeaderHasNoTags(t *testing.T) {
	for header, want := range map[string]string{
		"a=1":                                   "1",
		" a=1 ":                                 "1",
		"b=2,a=1":                               "1",
		"aa=2,a=1,ab=3":                         "1",
		"b=a,a=b":                               "b",
		"a==":                                   "=",
		"":                                      "",
		"a":                                     "",
		"a=":                                    "",
		"=1":                                    "",
		"a=1,":                                  "",
		",a=1":                                  "",
		"a=1,,b=2":                              "",
		"a=1,b":                                 "",
		"a=1,b=":                                "",
		"a=1,a=1":                               "",
		"a=1,b=2,b=3":                           "",
		"a =1":                                  "",
		"\ta=1":                                 "",
		"a=1,b/c=2":                             "",
		"a=1, b = 2":                            "",
		"a=1;b=2,c":                             "",
		"a=1,b=\t":                              "1",
		"a=1,ä=2":                               "",
		"A=1":                                   "",
		"a=" + "x y" + "":                       "x y",
		"a=1," + strings.Repeat("b", 64) + "=2": "1",
		"a=1," + strings.Repeat("b", 65) + "=2": "",
	} {
		got, ok := tagValue(header, "a")
		assert.Equal(t, want, got, "%q", header)
		assert.Equal(t, want != "", ok, "%q", header)
	}
}

func FuzzTags(f *testing.F) {
	f.Add("a=1, b=2")
	f.Add("a=1,b=2,b=3")
	f.Add("a= 1 ,b")
	f.Fuzz(func(t *testing.T, header string) {
		if len(header) > MaxValue {
			return
		}
		tags := map[string]string{}
		for pair := range strings.SplitSeq(header, ",") {
			key, value, _ := strings.Cut(strings.Trim(pair, " "), "=")
			if _, twice := tags[key]; twice || value == "" || !labelName(key) {
				tags = nil
				break
			}
			tags[key] = value
		}
		for _, name := range []string{"a", "b", "env", "version"} {
			want, present := tags[name]
			got, ok := tagValue(header, name)
			require.Equal(t, present, ok)
			require.Equal(t, want, got)
		}
	})
}

func TestAHeaderOfTheMostTagsIsRead(t *testing.T) {
	var header strings.Builder
	for i := 0; header.Len() < MaxValue-20; i++ {
		fmt.Fprintf(&header, "%x=1,", i)
	}
	got, ok := tagValue(header.String()+"last=1", "last")
	assert.True(t, ok)
	assert.Equal(t, "1", got)
	// Four bytes a pair: as many as there are places, and the key twice.
	_, ok = tagValue(strings.Repeat("a=1,", MaxValue/4)+"a=1", "a")
	assert.False(t, ok)
}

func FuzzDecimal(f *testing.F) {
	f.Add("-0.50", "10")
	f.Add("2.10", "2.1")
	f.Add("-0", "0.0")
	f.Add("1e3", "0x1")
	grammar := regexp.MustCompile(`\A-?\d+(\.\d+)?\z`)
	f.Fuzz(func(t *testing.T, a, b string) {
		x, okX := parseDecimal(a)
		y, okY := parseDecimal(b)
		require.Equal(t, grammar.MatchString(a), okX, a)
		require.Equal(t, grammar.MatchString(b), okY, b)
		if !okX || !okY {
			return
		}
		ratX, _ := new(big.Rat).SetString(a)
		ratY, _ := new(big.Rat).SetString(b)
		require.Equal(t, ratX.Cmp(ratY), x.compare(y), "%s and %s", a, b)
	})
}

func TestConditionsHold(t *testing.T) {
	for _, c := range []struct {
		condition     string
		holds, others string // values of the header a; "-" is no header, "''" an empty one
	}{
		{"when: {header.a: x}", "x", "- '' X xx x."},
		{"when: {header.a: ''}", "''", "- x"},
		{"when: {header.a: ['y', x, 'y', z]}", "x y z", "- '' w xy"},
		{"when: {header.a: {not: x}}", "- '' y", "x"},
		{"when: {header.a: {not: [z, x]}}", "- '' y", "x z"},
		{"when: {header.a: {prefix: ab}}", "ab abc", "- '' a xab AB"},
		{"when: {header.a: {suffix: ab}}", "ab cab", "- '' b abx"},
		{"when: {header.a: {regex: 'a|bc*'}}", "a b bcc", "- '' ab abc xa"},
		{"when: {header.a: {regex: '^a$'}}", "a", "- '' ab"},
		{"when: {header.a: {regex: '(?i)a.'}}", "ab AB", "- '' a abc"},
		{"when: {header.a: {exists: true}}", "x ''", "-"},
		{"when: {header.a: {exists: false}}", "-", "x ''"},
		{"when: {header.a: {range: [-1.5, 2.10]}}", "0 -0 -1.5 -1.50 1 2.1 2.10 02.1 2.09 1.999999999999999999999999", "- '' -1.51 -2 2.11 2.1000000000000000000001 3 10 a 1. .5 +1 1e0 0x1 １ 1_0"},
		{"when: {header.a: {range: ['99999999999999999999', '99999999999999999999.5']}}", "99999999999999999999 99999999999999999999.25", "99999999999999999998.9 99999999999999999999.51 100000000000000000000"},
		{"when: {header.a: {range: [-20, -3]}}", "-20 -3 -10 -3.0", "-20.1 -2 0 3 20 -100"},
		{"when: {header.a: {range: [0, 0.0]}}", "0 -0 -0.00 00", "-0.01 0.01"},
		{"when: {header.a: {prefix: a}, user: u}", "a", "- b"},
		{"when: {header.a: {prefix: a}, user: {exists: false}}", "", "a b -"},
		{"when: [{header.a: x}, {header.a: {prefix: 'y'}, path: /p}, {user: v}]", "x y yy", "- z"},
		{"unless: {header.a: x}", "- '' y", "x"},
		{"unless: [{header.a: x}, {header.a: 'y', user: v}, {header.a: z}]", "- y", "x z"},
		{"when: {header.a: {prefix: x}}\n  unless: {header.a: {suffix: x}}", "xy", "- y x xx"},
		{"x-free: a", "- '' x", ""},
	} {
		compiled := condition(t, c.condition)
		check := func(values string, want bool) {
			for v := range strings.FieldsSeq(values) {
				r := request{headers: map[string]string{"a": strings.Trim(v, "'")}, path: "/p", user: "u"}
				if v == "-" {
					r.headers = nil
				}
				assert.Equal(t, want, compiled.Holds(lookup(r, nil)), "%s for %s", c.condition, v)
			}
		}
		check(c.holds, true)
		check(c.others, false)
	}
	assert.True(t, new(Condition).Holds(lookup(request{}, nil)), "the zero value")
}

func TestARequestCostsNoAllocation(t *testing.T) {
	c := condition(t,
		"when: {header.X-A: [a, b], cookie.c: {prefix: x}, query.q: {suffix: x}, path: {regex: '/[a-z]+x?'}, method: GET, user: {not: [v, w]},",
		"  lane: {exists: true}, tag.n: {range: [1, 2.5]}, caller.zone: z}",
		"unless: {user: nobody}")
	var r Request = request{
		headers: map[string]string{"x-a": "b", "x-tag": "m=1,n=2"}, cookies: map[string]string{"c": "xy"}, query: map[string]string{"q": "yx"},
		path: "/abc", method: "GET", user: "u", lane: "l",
	}
	caller := map[string]string{"zone": "z"}
	require.True(t, c.Holds(lookup(r, caller)))
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		l := NewLookup(r, caller)
		c.Holds(&l)
	}))
	for _, field := range []string{"header.x-a", "cookie.c", "query.q", "path", "method", "user", "lane", "tag.n", "caller.zone"} {
		f, _ := parseField(field)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { f.Value(r, caller) }), field)
	}
	assert.Zero(t, testing.AllocsPerRun(1000, func() { Slot("order/ten-percent", "u1") }))
	ruled := Rule{To: []Arm{{"v2", 0, 1000}, {"v3", 9000, 10000}}}
	assert.Zero(t, testing.AllocsPerRun(1000, func() { ruled.Arm(9500) }))
}

func BenchmarkHolds(b *testing.B) {
	rules, _ := ParseRules("f", "order", []byte(rule("name: a", "by: user", "when: {header.x-tester: [yes-please, no-thanks], path: /a}")))
	c := &rules.Rules[0].When
	var r Request = request{headers: map[string]string{"x-tester": "yes-please"}, path: "/a"}
	b.ReportAllocs()
	for b.Loop() {
		l := NewLookup(r, nil)
		c.Holds(&l)
	}
}

// The most pairs that a header can have.
func BenchmarkTagOfALongHeader(b *testing.B) {
	var header strings.Builder
	for i := 0; header.Len() < MaxValue-20; i++ {
		fmt.Fprintf(&header, "%x=1,", i)
	}
	header.WriteString("zzz=1")
	b.ReportAllocs()
	for b.Loop() {
		tagValue(header.String(), "zzz")
	}
}
