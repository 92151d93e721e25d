package judge

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documents of the cases.
const (
	toDefault = "gray: v1\ndefault: v1\n"
	toAll     = "gray: v1\ndefault: v2\n"
	byHeader  = "gray: v1\ndefault: v1\nrules:\n- {name: asked, by: header.x-gray-version}\n"
	strict    = "gray: v1\ndefault: v1\ntargets: {v1: {version: v1}, v2: {version: v2}}\nrules:\n- {name: asked, by: header.x-gray-version, missing: fail}\n"
	split     = "gray: v1\ndefault: v1\nrules:\n- {name: ten-percent, to: {v2: 20%}}\n"
	sticky    = "gray: v1\nservice: order\ndefault: v1\nrules:\n- {name: ten-percent, to: {v2: 30%}, sticky: user}\n"
	when      = "gray: v1\ndefault: v1\nrules:\n- {name: staff, when: {header.x-tester: [a, b], method: GET}, to: v2}\n"
	off       = "gray: v1\nenabled: false\ndefault: v1\nrules:\n- {name: all, to: v2}\n"
)

// Times of the cases: the document is published at 1000, the requests begin at
// 5000. Lists and rules may lag by 100.
const (
	published = 1_000
	asked     = 5_000
	lag       = 100
)

func facts(doc string) Facts {
	f := Facts{
		Instances: []Instance{
			{Service: "order", Addr: "10.0.0.1:1", Version: "v1"},
			{Service: "order", Addr: "10.0.0.2:1", Version: "v2"},
			{Service: "order", Addr: "10.0.0.3:1", Version: "v2", Labels: map[string]string{"version": "v2", "lane": "canary"}},
		},
		RulesWithin: lag, ListWithin: lag,
	}
	if doc != "" {
		f.Publications = []Publication{{Service: "order", Text: doc, Sent: published, Answered: published + 50}}
	}
	return f
}

// line returns an attempt under doc that reached addr, which answered as version.
func line(doc, addr, version string, change func(*Attempt)) Attempt {
	a := Attempt{
		Request: Request{ID: "r1", Protocol: "http", Service: "order", Method: "GET", Path: "/", Headers: map[string]string{}},
		Number:  1, Via: "rule", Slot: -1, Instance: addr + "#DEFAULT", Addr: addr, Version: version,
		Begin: asked, Start: asked + 1, End: asked + 2, Last: true,
	}
	if doc != "" {
		a.Rules = (&Publication{Text: doc}).Revision()
	}
	change(&a)
	return a
}

func headers(kv ...string) func(*Attempt) {
	return func(a *Attempt) {
		for i := 0; i < len(kv); i += 2 {
			a.Headers[kv[i]] = kv[i+1]
		}
	}
}

// decided sets what the consumer says.
func decided(via, rule, target, fallback string, slot int) func(*Attempt) {
	return func(a *Attempt) { a.Via, a.Rule, a.Target, a.Fallback, a.Slot = via, rule, target, fallback, slot }
}

func refusal(text string) func(*Attempt) {
	return func(a *Attempt) {
		a.Refusal, a.Error, a.Instance, a.Addr, a.Version = text, text, "", "", ""
	}
}

func all(changes ...func(*Attempt)) func(*Attempt) {
	return func(a *Attempt) {
		for _, c := range changes {
			c(a)
		}
	}
}

func inLane(name string) func(*Attempt) { return func(a *Attempt) { a.Lane = name } }
func user(name string) func(*Attempt)   { return func(a *Attempt) { a.User = name } }

const (
	a1   = "10.0.0.1:1" // v1
	a2   = "10.0.0.2:1" // v2
	a3   = "10.0.0.3:1" // v2 in the lane canary
	gone = "10.0.0.9:1"
)

func TestRightAttemptsAreAcquitted(t *testing.T) {
	for name, tt := range map[string]struct {
		doc, addr, version string
		change             func(*Attempt)
	}{
		"default":                  {toDefault, a1, "v1", decided("default", "", "v1", "", -1)},
		"header":                   {byHeader, a2, "v2", all(headers("x-gray-version", "v2"), decided("rule", "asked", "v2", "", -1))},
		"header absent":            {byHeader, a1, "v1", decided("default", "", "v1", "", -1)},
		"header names nobody":      {byHeader, a1, "v1", all(headers("x-gray-version", "v9"), decided("rule", "asked", "v9", "default", -1))},
		"header is no name":        {byHeader, a1, "v1", all(headers("x-gray-version", "-"), decided("rule", "asked", "v1", "default", -1))},
		"undeclared, strict":       {strict, "", "", all(headers("x-gray-version", "v9"), decided("rule", "asked", "", "", -1), refusal(UnknownTarget))},
		"declared, strict":         {strict, a2, "v2", all(headers("x-gray-version", "v2"), decided("rule", "asked", "v2", "", -1))},
		"drawn inside":             {split, a2, "v2", decided("rule", "ten-percent", "v2", "", 1999)},
		"drawn outside":            {split, a1, "v1", decided("rule", "ten-percent", "v1", "", 2000)},
		"sticky inside":            {sticky, a2, "v2", all(user("u1"), decided("rule", "ten-percent", "v2", "", 2609))},
		"sticky by header":         {sticky, a2, "v2", all(headers("x-user-id", "u1"), decided("rule", "ten-percent", "v2", "", 2609))},
		"sticky without a key":     {sticky, a1, "v1", decided("rule", "ten-percent", "v1", "", -1)},
		"condition holds":          {when, a2, "v2", all(headers("x-tester", "b"), decided("rule", "staff", "v2", "", -1))},
		"condition does not":       {when, a1, "v1", all(headers("x-tester", "c"), decided("default", "", "v1", "", -1))},
		"header too long to count": {byHeader, a1, "v1", all(headers("x-gray-version", strings.Repeat("v", 1025)), decided("default", "", "v1", "", -1))},
		"lane":                     {toDefault, a3, "v2", all(inLane("canary"), decided("lane", "", "canary", "", -1))},
		"lane with nobody":         {toDefault, a1, "v1", all(inLane("other"), decided("default", "", "v1", "", -1))},
		"rules off":                {off, a1, "v1", all(inLane("canary"), decided("off", "", "v1", "", -1))},
		"no document":              {"", a2, "v2", decided("default", "", "", "", -1)},
		"no document, header":      {"", a2, "v2", all(headers("x-gray-version", "v2"), decided("rule", "", "v2", "", -1))},
		"no document, lane":        {"", a3, "v2", all(inLane("canary"), decided("lane", "", "canary", "", -1))},
		"failed, right instance":   {toDefault, a1, "", all(decided("default", "", "v1", "", -1), func(a *Attempt) { a.Error = "refused" })},
		"all candidates are tried": {toDefault, "", "", all(decided("default", "", "v1", "", -1), refusal(Skipped))},
	} {
		t.Run(name, func(t *testing.T) {
			rep, err := Judge(facts(tt.doc), []Attempt{line(tt.doc, tt.addr, tt.version, tt.change)})
			require.NoError(t, err)
			assert.Empty(t, rep.Convictions(1))
			assert.Zero(t, rep.Misrouted)
			assert.Zero(t, rep.Late)
			assert.Equal(t, 1, rep.Requests)
		})
	}
}

func TestWrongAttemptsAreConvicted(t *testing.T) {
	asks := headers("x-gray-version", "v2")
	for name, tt := range map[string]struct {
		doc, addr, version string
		change             func(*Attempt)
		why                string
	}{
		"spill to the other version":    {byHeader, a1, "v1", all(asks, decided("rule", "asked", "v2", "", -1)), `target "v2"`},
		"spill called a fallback":       {byHeader, a1, "v1", all(asks, decided("rule", "asked", "v2", "default", -1)), `target "v2", fallback ""`},
		"fallback that was none":        {byHeader, a2, "v2", all(asks, decided("rule", "asked", "v2", "default", -1)), `fallback ""`},
		"default took v2":               {toDefault, a2, "v2", decided("default", "", "v1", "", -1), `right is via default`},
		"another server answered":       {toDefault, a1, "v2", decided("default", "", "v1", "", -1), "was started as"},
		"the server said nothing":       {toDefault, a1, "", decided("default", "", "v1", "", -1), "was started as"},
		"address that nobody started":   {toDefault, gone, "v1", decided("default", "", "v1", "", -1), "no instance of order"},
		"rule that did not match":       {when, a2, "v2", decided("rule", "staff", "v2", "", -1), "right is via default"},
		"rule that was passed over":     {when, a1, "v1", all(headers("x-tester", "a"), decided("default", "", "v1", "", -1)), `rule "staff"`},
		"slot of the other arm":         {split, a2, "v2", decided("rule", "ten-percent", "v2", "", 2000), `target "v1"`},
		"no slot drawn":                 {split, a2, "v2", decided("rule", "ten-percent", "v2", "", -1), `target "v1"`},
		"sticky user moved":             {sticky, a1, "v1", all(user("u1"), decided("rule", "ten-percent", "v1", "", 2609)), `target "v2"`},
		"sticky user of a wrong slot":   {sticky, a1, "v1", all(user("u1"), decided("rule", "ten-percent", "v1", "", 3001)), "slot 2609"},
		"sticky slot of the same arm":   {sticky, a2, "v2", all(user("u1"), decided("rule", "ten-percent", "v2", "", 2610)), "slot 2609"},
		"sticky drawn without a key":    {sticky, a2, "v2", decided("rule", "ten-percent", "v2", "", 7), "slot -1"},
		"lane leaks out":                {toDefault, a3, "v2", decided("default", "", "v1", "", -1), "right is via default"},
		"lane leaks into its version":   {byHeader, a3, "v2", all(asks, decided("rule", "asked", "v2", "", -1)), "lane:canary"},
		"lane instance by open default": {"", a3, "v2", decided("default", "", "", "", -1), "lane:canary"},
		"lane was left":                 {toDefault, a1, "v1", all(inLane("canary"), decided("default", "", "v1", "", -1)), "right is via lane"},
		"rules off, lane taken":         {off, a3, "v2", all(inLane("canary"), decided("lane", "", "canary", "", -1)), "right is via off"},
		"refused without reason":        {toDefault, "", "", all(decided("default", "", "v1", "", -1), refusal(NoInstance)), `refusal ""`},
		"unknown target served":         {strict, a1, "v1", all(headers("x-gray-version", "v9"), decided("rule", "asked", "v1", "default", -1)), UnknownTarget},
		"unknown target, lax rule":      {byHeader, "", "", all(headers("x-gray-version", "-"), decided("rule", "asked", "", "", -1), refusal(UnknownTarget)), `fallback "default"`},
		"revision that never was":       {toDefault, a1, "v1", all(decided("default", "", "v1", "", -1), func(a *Attempt) { a.Rules = "abc" }), "no accepted document"},
		"request without a name":        {toDefault, a1, "v1", all(decided("default", "", "v1", "", -1), func(a *Attempt) { a.ID = "" }), "nobody announced"},
	} {
		t.Run(name, func(t *testing.T) {
			rep, err := Judge(facts(tt.doc), []Attempt{line(tt.doc, tt.addr, tt.version, tt.change)})
			require.NoError(t, err)
			require.Equal(t, 1, rep.Misrouted)
			assert.Contains(t, rep.Convictions(1)[0], tt.why)
		})
	}
}

// flips returns two documents in turn, each published at 1000, 2000, ...
func flips(f Facts, docs ...string) Facts {
	f.Publications = nil
	for i, doc := range docs {
		at := int64(1000 * (i + 1))
		f.Publications = append(f.Publications, Publication{Service: "order", Text: doc, Sent: at, Answered: at + 50})
	}
	return f
}

func at(begin int64) func(*Attempt) {
	return func(a *Attempt) { a.Begin, a.Start, a.End = begin, begin+1, begin+2 }
}

func TestEachRequestMatchesOneRevisionInTime(t *testing.T) {
	f := flips(facts(""), toDefault, toAll, toDefault)
	one := decided("default", "", "v1", "", -1)
	two := decided("default", "", "v2", "", -1)
	for name, tt := range map[string]struct {
		a               Attempt
		late, misrouted bool
		revisions       int
	}{
		"first document":              {line(toDefault, a1, "v1", all(one, at(1500))), false, false, 2}, // the open default serves v1 too
		"before any":                  {line("", a1, "v1", all(decided("default", "", "", "", -1), at(500))), false, false, 1},
		"old one, within the bound":   {line(toDefault, a1, "v1", all(one, at(2150))), false, false, 2},
		"old one, after the bound":    {line(toDefault, a1, "v1", all(one, at(2151))), true, false, 2},
		"old one, published again":    {line(toDefault, a1, "v1", all(one, at(3001))), false, false, 2},
		"new one, before the answer":  {line(toAll, a2, "v2", all(two, at(2010))), false, false, 2},
		"new one, before it was sent": {line(toAll, a2, "v2", all(two, at(1900))), false, true, 1}, // only the open default
		"no rules, long after":        {line("", a1, "v1", all(decided("default", "", "", "", -1), at(9000))), true, false, 2},
		"says old, went by new":       {line(toDefault, a2, "v2", all(one, at(2050))), false, true, 2},
		"says new, went by old":       {line(toAll, a1, "v1", all(two, at(2050))), false, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			rep, err := Judge(f, []Attempt{tt.a})
			require.NoError(t, err)
			v := rep.Verdicts[0]
			assert.Equal(t, tt.late, v.Late, "late")
			assert.Equal(t, tt.misrouted, v.Misrouted != "", v.Misrouted)
			assert.Len(t, v.Revisions, tt.revisions)
		})
	}
}

func TestRefusedDocumentIsNeverInForce(t *testing.T) {
	f := flips(facts(""), toDefault, toAll)
	f.Publications[1].Refused = true
	rep, err := Judge(f, []Attempt{
		line(toDefault, a1, "v1", decided("default", "", "v1", "", -1)),
		line(toAll, a2, "v2", decided("default", "", "v2", "", -1)),
	})
	require.NoError(t, err)
	assert.Empty(t, rep.Verdicts[0].Misrouted)
	assert.False(t, rep.Verdicts[0].Late)
	assert.Contains(t, rep.Verdicts[1].Misrouted, "no accepted document")
}

func TestRetryKeepsItsDecision(t *testing.T) {
	f := facts(split)
	f.Instances = append(f.Instances, Instance{Service: "order", Addr: "10.0.0.4:1", Version: "v2"})
	first := line(split, a2, "", all(decided("rule", "ten-percent", "v2", "", 5), func(a *Attempt) { a.Error, a.Last = "refused", false }))
	same := line(split, "10.0.0.4:1", "v2", all(decided("rule", "ten-percent", "v2", "", 5), func(a *Attempt) { a.Number = 2 }))
	anew := line(split, a1, "v1", all(decided("rule", "ten-percent", "v1", "", 2005), func(a *Attempt) { a.Number = 2 }))

	rep, err := Judge(f, []Attempt{first, same})
	require.NoError(t, err)
	assert.Empty(t, rep.Convictions(9))
	assert.Equal(t, 1, rep.Requests)
	assert.Zero(t, rep.Failed, "the caller saw an answer")

	rep, err = Judge(f, []Attempt{first, anew})
	require.NoError(t, err)
	require.Equal(t, 1, rep.Misrouted)
	assert.Contains(t, rep.Convictions(1)[0], "decided anew")
}

func TestAnAttemptThatWasNotMadeDecidesNothingForGood(t *testing.T) {
	f := facts(split)
	lost := line(split, a2, "", all(decided("rule", "ten-percent", "v2", "", 5), func(a *Attempt) { a.Last, a.Error = false, "the attempt was not made" }))
	again := line(split, a2, "v2", all(decided("rule", "ten-percent", "v2", "", 5), func(a *Attempt) { a.List = 2 }))
	rep, err := Judge(f, []Attempt{lost, again})
	require.NoError(t, err)
	assert.Empty(t, rep.Convictions(1))

	rep, err = Judge(f, []Attempt{lost, line(split, a1, "v1", decided("rule", "ten-percent", "v1", "", 2005))})
	require.NoError(t, err)
	require.Len(t, rep.Convictions(1), 1)
	assert.Contains(t, rep.Convictions(1)[0], "drawn anew", "its slot stays")

	retry := line(split, a2, "v2", all(decided("rule", "ten-percent", "v2", "", 5), func(a *Attempt) { a.List, a.Number = 1, 2 }))
	rep, err = Judge(f, []Attempt{lost, again, retry})
	require.NoError(t, err)
	require.Len(t, rep.Convictions(1), 1, "a retry keeps what was decided at last")
}

func TestARequestThatWaitsKeepsItsSlot(t *testing.T) {
	early := line(split, "", "", all(decided("rule", "ten-percent", "v2", "", 5), refusal(Skipped), func(a *Attempt) { a.Last = false }))
	same := line(split, a2, "v2", decided("rule", "ten-percent", "v2", "", 5))
	anew := line(split, a1, "v1", decided("rule", "ten-percent", "v1", "", 2005))
	f := facts(split)
	rep, err := Judge(f, []Attempt{early, same})
	require.NoError(t, err)
	assert.Empty(t, rep.Convictions(1))
	assert.Equal(t, map[Arm]int{{"order", f.Publications[0].Revision(), "ten-percent", "v2"}: 1}, rep.Arms)

	rep, err = Judge(f, []Attempt{early, anew})
	require.NoError(t, err)
	require.Len(t, rep.Convictions(1), 1)
	assert.Contains(t, rep.Convictions(1)[0], "drawn anew")
}

func TestInstancesComeAndGo(t *testing.T) {
	f := facts(byHeader)
	f.Instances[1].From, f.Instances[1].Until = 2000, 3000 // a2, the only v2
	asks := headers("x-gray-version", "v2")
	here := decided("rule", "asked", "v2", "", -1)
	fallback := decided("rule", "asked", "v2", "default", -1)
	for name, tt := range map[string]struct {
		a               Attempt
		late, misrouted bool
	}{
		"before it came":           {line(byHeader, a1, "v1", all(asks, fallback, at(1900))), false, false},
		"picked before it came":    {line(byHeader, a2, "v2", all(asks, here, at(1900))), false, true},
		"just come, known":         {line(byHeader, a2, "v2", all(asks, here, at(2050))), false, false},
		"just come, not yet known": {line(byHeader, a1, "v1", all(asks, fallback, at(2050))), false, false},
		"here":                     {line(byHeader, a2, "v2", all(asks, here, at(2500))), false, false},
		"here, passed over":        {line(byHeader, a1, "v1", all(asks, fallback, at(2500))), false, true},
		"just gone, still known":   {line(byHeader, a2, "", all(asks, here, at(3050), func(a *Attempt) { a.Error = "refused" })), false, false},
		"just gone, known":         {line(byHeader, a1, "v1", all(asks, fallback, at(3050))), false, false},
		"long gone":                {line(byHeader, a2, "", all(asks, here, at(3200), func(a *Attempt) { a.Error = "refused" })), true, false},
		"long gone, known":         {line(byHeader, a1, "v1", all(asks, fallback, at(3200))), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			rep, err := Judge(f, []Attempt{tt.a})
			require.NoError(t, err)
			assert.Equal(t, tt.late, rep.Verdicts[0].Late, "late")
			assert.Equal(t, tt.misrouted, rep.Misrouted > 0, rep.Convictions(1))
		})
	}
}

func TestRelabelledInstanceIsJudgedByItsNewLabels(t *testing.T) {
	f := facts(toDefault)
	f.Instances = []Instance{
		{Service: "order", Addr: a1, Version: "v1", Until: 2000},
		{Service: "order", Addr: a1, Version: "v1", Labels: map[string]string{"version": "v2"}, From: 1900},
		{Service: "order", Addr: a2, Version: "v1"},
	}
	to := func(addr string, begin int64) Attempt {
		return line(toDefault, addr, "v1", all(decided("default", "", "v1", "", -1), at(begin)))
	}
	rep, err := Judge(f, []Attempt{to(a1, 1850), to(a1, 2050), to(a1, 2500), to(a2, 2500)})
	require.NoError(t, err)
	for i, misrouted := range []bool{false, false, true, false} {
		assert.Equal(t, misrouted, rep.Verdicts[i].Misrouted != "", "attempt %d: %s", i, rep.Verdicts[i].Misrouted)
	}
}

func TestSumsAndShares(t *testing.T) {
	var log []Attempt
	for i := range 10 {
		target, addr, slot := "v1", a1, 2000+i
		if i < 2 {
			target, addr, slot = "v2", a2, i
		}
		a := line(split, addr, target, decided("rule", "ten-percent", target, "", slot))
		a.ID = strconv.Itoa(i)
		log = append(log, a)
	}
	log[9].Error, log[9].Version = "reset", ""
	f := facts(split)
	rep, err := Judge(f, log)
	require.NoError(t, err)
	assert.Equal(t, 10, rep.Requests)
	assert.Equal(t, 1, rep.Failed)
	assert.Zero(t, rep.Misrouted, rep.Convictions(3))
	assert.Equal(t, map[string]int{"v1": 7, "v2": 2}, rep.Versions)
	arm := Arm{Service: "order", Revision: f.Publications[0].Revision(), Rule: "ten-percent", Target: "v2"}
	assert.InDelta(t, 0.2, rep.Share(arm), 1e-9)

	followed, ok := f.Publications[0].Followed(log)
	require.True(t, ok)
	assert.Equal(t, time.Duration(asked+1-published-50), followed)
}

func TestJudgeRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, doc := range map[string]string{
		"field":     "gray: v1\ndefault: v1\nrules:\n- {name: a, when: {cookie.a: b}, to: v2}\n",
		"test":      "gray: v1\ndefault: v1\nrules:\n- {name: a, when: {path: {prefix: /a}}, to: v2}\n",
		"rule key":  "gray: v1\ndefault: v1\nrules:\n- {name: a, unless: {path: /a}, to: v2}\n",
		"key":       "gray: v1\ndefault: v1\nprefer: [zone]\n",
		"version":   "gray: v2\ndefault: v1\n",
		"no yaml":   "a: b: c",
		"sticky on": "gray: v1\ndefault: v1\nrules:\n- {name: a, to: {v2: 1%}, sticky: tag.a}\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Judge(facts(doc), []Attempt{line(doc, a1, "v1", func(*Attempt) {})})
			require.ErrorContains(t, err, "judge: ")
		})
	}
}
