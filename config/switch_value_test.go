package config

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// acceptSwitch returns the switch a of a document that says this of it.
func acceptSwitch(t *testing.T, content string) *Switch {
	t.Helper()
	switches, problems := ParseSwitches("f", []byte("gray: v1\nswitches:\n  a:\n"+content))
	require.Empty(t, problems)
	return switches.Lookup("a")
}

func acceptValue(t *testing.T, value string) Value {
	t.Helper()
	return acceptSwitch(t, "    value: "+value+"\n").Value(request{}, nil)
}

func TestAValueIsOfTheTypeThatItIsWrittenAs(t *testing.T) {
	for written, want := range map[string]bool{"true": true, "false": false} {
		v := acceptValue(t, written)
		got, ok := v.Bool()
		assert.True(t, ok, written)
		assert.Equal(t, want, got, written)
		_, ok = v.Text()
		assert.False(t, ok, written)
		_, ok = v.Int()
		assert.False(t, ok, written)
		_, ok = v.Float()
		assert.False(t, ok, written)
	}
	for written, want := range map[string]string{
		"a": "a", `"true"`: "true", "'1'": "1", `""`: "", "1.2.3": "1.2.3", "|-\n     1": "1", "10%": "10%", "2026-11-25": "2026-11-25",
	} {
		v := acceptValue(t, written)
		got, ok := v.Text()
		assert.True(t, ok, written)
		assert.Equal(t, want, got, written)
		_, ok = v.Bool()
		assert.False(t, ok, written)
		_, ok = v.Int()
		assert.False(t, ok, written)
		_, ok = v.Float()
		assert.False(t, ok, written)
	}
	_, ok := Value{}.Bool()
	assert.False(t, ok, "the zero value is of no type")
	_, ok = Value{}.Float()
	assert.False(t, ok)
	_, ok = Value{}.Text()
	assert.False(t, ok)
}

func TestANumberIsAFloatAndAWholeOneAnIntToo(t *testing.T) {
	for written, want := range map[string]int64{
		"0": 0, "-0": 0, "7": 7, "+7": 7, "-7": -7, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	} {
		v := acceptValue(t, written)
		i, ok := v.Int()
		assert.True(t, ok, written)
		assert.Equal(t, want, i, written)
		f, ok := v.Float()
		assert.True(t, ok, written)
		assert.InDelta(t, float64(want), f, 0, written)
	}
	i, _ := acceptValue(t, "9007199254740993").Int()
	assert.EqualValues(t, 9007199254740993, i, "more than a float can tell")

	for written, want := range map[string]float64{
		"1.5": 1.5, "-1.50": -1.5, "1.0": 1, "1e3": 1000, "1E-3": 0.001, "1.5e+3": 1500, "1e-999": 0,
		"9223372036854775808": math.MaxInt64 + 1, "100000000000000000000": 1e20,
	} {
		v := acceptValue(t, written)
		f, ok := v.Float()
		assert.True(t, ok, written)
		assert.InDelta(t, want, f, 0, written)
		_, ok = v.Int()
		assert.False(t, ok, "%s is not written as a whole number of 64 bits", written)
		_, ok = v.Text()
		assert.False(t, ok, written)
	}
}

func TestTheFirstRuleOfASwitchWins(t *testing.T) {
	s := acceptSwitch(t, `
    value: none
    rules:
    - {name: paused, enabled: false, value: paused}
    - {name: staff, when: {header.x-type: staff}, unless: {lane: blue}, value: staff}
    - {name: web, when: {caller.service: web}, value: web}
    - {name: named, when: {user: {exists: true}}, value: named}
    - {name: paths, when: [{path: /a}, {path: /b}], value: paths}
`)
	staff := map[string]string{"x-type": "staff"}
	for want, r := range map[string][]request{
		"staff": {{headers: staff}, {headers: staff, user: "u", path: "/a"}},
		"named": {{user: "u"}, {headers: staff, lane: "blue", user: "u"}, {user: "u", path: "/a"}},
		"paths": {{path: "/a"}, {path: "/b", headers: staff, lane: "blue"}},
		"none":  {{}, {path: "/c"}, {headers: staff, lane: "blue"}},
	} {
		for _, r := range r {
			got, _ := s.Value(r, nil).Text()
			assert.Equal(t, want, got, "%+v", r)
		}
	}
	got, _ := s.Value(request{user: "u"}, map[string]string{"service": "web"}).Text()
	assert.Equal(t, "web", got)
}

func TestARequestOutsideAShareAsksTheNextRule(t *testing.T) {
	s := acceptSwitch(t, `
    value: 0
    rules:
    - {name: ten, sticky: user, share: 10%, value: 1}
    - {name: half, sticky: user, share: 50%, salt: other, value: 2}
    - {name: zero, sticky: user, share: 0%, value: 3}
    - {name: tagged, when: {header.x-a: b}, value: 4}
`)
	tagged := map[string]string{"x-a": "b"}
	counts := map[int64]int{}
	const users = 10_000
	for i := range users {
		user := fmt.Sprint("user-", i)
		want := int64(0)
		switch {
		case Slot("a/ten", user) < 1000:
			want = 1
		case Slot("other", user) < 5000:
			want = 2
		}
		got, ok := s.Value(request{user: user}, nil).Int()
		require.True(t, ok)
		require.Equal(t, want, got, user)
		counts[got]++
		if want == 0 {
			want = 4
		}
		got, _ = s.Value(request{user: user, headers: tagged}, nil).Int()
		require.Equal(t, want, got, user)
	}
	assert.InDelta(t, 0.1*users, counts[1], 0.01*users)
	assert.InDelta(t, 0.45*users, counts[2], 0.02*users)

	got, _ := s.Value(request{}, nil).Int()
	assert.Zero(t, got, "without the sticky field it is in no share")
	got, _ = s.Value(request{headers: tagged}, nil).Int()
	assert.EqualValues(t, 4, got)
}

func TestAFullShareTakesWhoeverHasTheField(t *testing.T) {
	s := acceptSwitch(t, `
    value: false
    rules:
    - {name: all, sticky: header.x-a, share: 100%, when: {path: /a}, value: true}
`)
	for _, c := range []struct {
		r    request
		want bool
	}{
		{request{path: "/a", headers: map[string]string{"x-a": "1"}}, true},
		{request{path: "/a", headers: map[string]string{"x-a": ""}}, true},
		{request{path: "/a"}, false},
		{request{path: "/b", headers: map[string]string{"x-a": "1"}}, false},
	} {
		got, ok := s.Value(c.r, nil).Bool()
		assert.True(t, ok)
		assert.Equal(t, c.want, got, "%+v", c.r)
	}
}

func TestLookupFindsASwitchByItsName(t *testing.T) {
	content := "gray: v1\nswitches: {a: {value: 1}, a.b: {value: 2}}\nx-a: b\n"
	switches, problems := ParseSwitches("f", []byte(content))
	require.Empty(t, problems)
	assert.Equal(t, digest([]byte(content)), switches.MD5)
	for name, want := range map[string]int64{"a": 1, "a.b": 2} {
		got, _ := switches.Lookup(name).Value(request{}, nil).Int()
		assert.Equal(t, want, got)
	}
	assert.Nil(t, switches.Lookup("A"))
	assert.Nil(t, switches.Lookup(""))
	var none *Switches
	assert.Nil(t, none.Lookup("a"), "no document")
	refused, _ := ParseSwitches("f", []byte("gray: v1\n"))
	assert.Nil(t, refused)
}

func TestASwitchCostsNoAllocation(t *testing.T) {
	s := acceptSwitch(t, `
    value: false
    rules:
    - {name: b, when: {user: {prefix: x}, path: {regex: '/[a-z]+'}}, value: true}
    - {name: c, sticky: user, share: 10%, value: true}
`)
	var r Request = request{user: "user-4711", path: "/a"}
	assert.Zero(t, testing.AllocsPerRun(1000, func() { s.Value(r, nil) }))
}
