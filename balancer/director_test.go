package balancer

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

const releasePlan = `
gray: v1
default: v1
rules:
- {name: asked-for, by: header.x-gray-version}
- {name: strict, when: {header.x-strict: "yes"}, to: v3, missing: fail}
- {name: testers, when: {header.x-user-type: [qa, staff]}, to: v2}
- {name: switched-off, enabled: false, to: v2}
- {name: sticky, when: {path: /sticky}, to: {v2: 10%}, sticky: user}
- {name: drawn, when: {path: /drawn}, to: {v2: 20%}}
`

func TestDecideFollowsTheRules(t *testing.T) {
	list := append(versions("v1", "v1", "v2"), instance("10.0.0.9:1", 1, "version", "v2", "lane", "blue"))
	v1, v2 := []string{"10.0.0.1:1", "10.0.0.1:2"}, []string{"10.0.0.1:3"}
	d := Build(rules(t, releasePlan), nil, snapshot(list...), Options{}, nil)
	header := func(kv ...string) request {
		r := request{headers: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			r.headers[kv[i]] = kv[i+1]
		}
		return r
	}
	for _, c := range []struct {
		name       string
		req        request
		slot       int
		want       Decision
		candidates []string
		err        error
	}{
		{"no rule holds", request{}, -1, Decision{Target: "v1", Slot: -1}, v1, nil},
		{
			"the request names its target", header("x-gray-version", "v2"), -1,
			Decision{Via: ViaRule, Rule: "asked-for", Target: "v2", Slot: -1},
			v2, nil,
		},
		{
			"it names one that nobody runs", header("x-gray-version", "v9"), -1,
			Decision{Via: ViaRule, Rule: "asked-for", Target: "v9", Fallback: FallbackDefault, Slot: -1},
			v1, nil,
		},
		{
			"it names what is no name", header("x-gray-version", "no name"), -1,
			Decision{Via: ViaRule, Rule: "asked-for", Target: "v1", Fallback: FallbackDefault, Slot: -1},
			v1, nil,
		},
		{
			"one of a list", header("x-user-type", "staff"), -1,
			Decision{Via: ViaRule, Rule: "testers", Target: "v2", Slot: -1},
			v2, nil,
		},
		{
			"a strict target that nobody runs", header("x-strict", "yes"), -1,
			Decision{Via: ViaRule, Rule: "strict", Target: "v3", Slot: -1},
			nil, ErrNoInstance,
		},
		{
			"the lane goes before every rule",
			request{lane: "blue", headers: map[string]string{"x-gray-version": "v2"}},
			-1,
			Decision{Via: ViaLane, Target: "blue", Slot: -1},
			[]string{"10.0.0.9:1"},
			nil,
		},
		{
			"a lane without instances is served by the rules",
			request{lane: "red", headers: map[string]string{"x-gray-version": "v2"}},
			-1,
			Decision{Via: ViaRule, Rule: "asked-for", Target: "v2", Slot: -1},
			v2, nil,
		},
		{
			"sticky without the field",
			request{path: "/sticky"},
			-1,
			Decision{Via: ViaRule, Rule: "sticky", Target: "v1", Slot: -1, Keyless: true},
			v1, nil,
		},
		{
			"sticky",
			request{path: "/sticky", user: "u1"},
			-1,
			Decision{Via: ViaRule, Rule: "sticky", Target: "v1", Slot: config.Slot("order/sticky", "u1")},
			v1, nil,
		},
		{
			"a drawn slot inside the arm",
			request{path: "/drawn"},
			1999,
			Decision{Via: ViaRule, Rule: "drawn", Target: "v2", Slot: 1999},
			v2, nil,
		},
		{
			"a drawn slot outside",
			request{path: "/drawn"},
			2000,
			Decision{Via: ViaRule, Rule: "drawn", Target: "v1", Slot: 2000},
			v1, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := d.DecideAt(c.req, c.slot, 0)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.candidates, candidates(got))
			got.subset = nil
			assert.Equal(t, c.want, got)
		})
	}
}

func TestDefaultWithoutHealthyInstancesPanics(t *testing.T) {
	list := versions("v1", "v1", "v1", "v2")
	list[0].Healthy, list[1].Healthy = false, false
	list[2].Enabled = false
	d := Build(rules(t, releasePlan), nil, snapshot(list...), Options{}, nil)

	got, err := d.Decide(request{})
	require.NoError(t, err)
	assert.Equal(t, FallbackPanic, got.Fallback)
	assert.Equal(t, []string{"10.0.0.1:1", "10.0.0.1:2"}, candidates(got), "whatever their health, but not the disabled one")

	got, err = d.Decide(request{headers: map[string]string{"x-gray-version": "v9"}})
	require.NoError(t, err)
	assert.Equal(t, FallbackPanic, got.Fallback, "the later step says more")
	assert.Equal(t, "v9", got.Target)
}

func TestNobodyIsAnErrorThatNamesEverything(t *testing.T) {
	list := versions("v1", "v2")
	list[0].Weight = 0
	_, err := Build(rules(t, releasePlan), nil, snapshot(list...), Options{}, nil).Decide(request{})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, ErrNoInstance)
	assert.EqualError(t, err, `balancer: service "order": no instance: target "v1", by default; there are: v1 ×1 (0 usable), v2 ×1`)
}

func TestDisabledDocumentSendsEverythingToTheDefault(t *testing.T) {
	doc := strings.Replace(releasePlan, "gray: v1", "gray: v1\nenabled: false", 1)
	list := append(versions("v1", "v2"), instance("10.0.0.9:1", 1, "version", "v2", "lane", "blue"))
	d := Build(rules(t, doc), nil, snapshot(list...), Options{}, nil)
	got, err := d.Decide(request{lane: "blue", headers: map[string]string{"x-gray-version": "v2"}})
	require.NoError(t, err)
	assert.Equal(t, ViaOff, got.Via)
	assert.Equal(t, []string{"10.0.0.1:1"}, candidates(got))
}

func TestDeclaredTargetsAreSetsOfLabels(t *testing.T) {
	doc := `
gray: v1
default: stable
targets:
  stable: {version: v1}
  gray: {version: v2, env: gray}
  in-lane: {lane: blue}
  here: {cluster: C1}
rules:
- {name: named, by: header.x-gray-version, missing: fail}
`
	list := []registry.Instance{
		instance("10.0.0.1:1", 1, "version", "v1"),
		instance("10.0.0.1:2", 1, "version", "v2"),
		instance("10.0.0.1:3", 1, "version", "v2", "env", "gray"),
		instance("10.0.0.1:4", 1, "version", "v2", "env", "gray", "lane", "blue"),
		instance("10.0.0.1:5", 1, "version", "v1"),
	}
	list[4].Cluster = "C1"
	list[4].ID = registry.InstanceID(list[4].Addr, "C1")
	d := Build(rules(t, doc), nil, snapshot(list...), Options{}, nil)
	decide := func(version string) (Decision, error) {
		return d.Decide(request{headers: map[string]string{"x-gray-version": version}})
	}
	for target, want := range map[string][]string{
		"stable":  {"10.0.0.1:1", "10.0.0.1:5"},
		"gray":    {"10.0.0.1:3"},
		"in-lane": {"10.0.0.1:4"},
		"here":    {"10.0.0.1:5"},
	} {
		got, err := decide(target)
		require.NoError(t, err)
		assert.Equal(t, want, candidates(got), target)
	}
	_, err := decide("v2")
	require.ErrorIs(t, err, ErrUnknownTarget)
}

func TestWithoutADocument(t *testing.T) {
	list := append(versions("v1", "v2"), instance("10.0.0.9:1", 1, "version", "v3", "lane", "blue"))
	asked := request{headers: map[string]string{"x-gray-version": "v2"}}

	open := Build(nil, nil, snapshot(list...), Options{}, nil)
	got, err := open.Decide(request{})
	require.NoError(t, err)
	assert.Equal(t, []string{"10.0.0.1:1", "10.0.0.1:2"}, candidates(got), "every baseline instance")
	assert.Empty(t, got.Target)
	got, err = open.Decide(asked)
	require.NoError(t, err)
	assert.Equal(t, []string{"10.0.0.1:2"}, candidates(got))
	assert.Equal(t, ViaRule, got.Via)
	got, err = open.Decide(request{lane: "blue"})
	require.NoError(t, err)
	assert.Equal(t, []string{"10.0.0.9:1"}, candidates(got))

	v1 := Build(nil, nil, snapshot(list...), Options{DefaultVersion: "v1"}, nil)
	got, err = v1.Decide(request{})
	require.NoError(t, err)
	assert.Equal(t, []string{"10.0.0.1:1"}, candidates(got))
	assert.Equal(t, "v1", got.Target)
}

func TestHashBalanceGivesEachUserOneOwner(t *testing.T) {
	doc := "gray: v1\ndefault: v1\nbalance: {hash: user}\n"
	list := versions("v1", "v1", "v1", "v1", "v1")
	d := Build(rules(t, doc), nil, snapshot(list...), Options{}, nil)
	other := Build(rules(t, doc), nil, snapshot(list...), Options{}, nil)
	owner := func(d *Director, user string) string {
		dec, err := d.Decide(request{user: user})
		require.NoError(t, err)
		_, e := d.Pick(&dec, Pick{})
		return e.Addr()
	}
	owners := map[string]bool{}
	for i := range 1000 {
		user := fmt.Sprint("u", i)
		first := owner(d, user)
		require.Equal(t, first, owner(d, user))
		require.Equal(t, first, owner(other, user))
		owners[first] = true
	}
	assert.Len(t, owners, 5)

	anonymous := map[string]int{}
	for range 1000 {
		anonymous[owner(d, "")]++
	}
	assert.Len(t, anonymous, 5, "without a key the weights decide")
}

func TestASplitIsExactAndItsArmIsEven(t *testing.T) {
	doc := "gray: v1\ndefault: v1\nrules:\n- {name: r, to: {v2: 20%}}\n"
	list := versions("v1", "v1", "v1", "v2", "v2", "v2", "v2", "v2")
	d := Build(rules(t, doc), nil, snapshot(list...), Options{}, nil)
	total, first := map[string]int{}, map[string]int{}
	for i := range 10_000 {
		dec, err := d.Decide(request{})
		require.NoError(t, err)
		_, e := d.Pick(&dec, Pick{})
		total[dec.Target]++
		if i < 2000 {
			first[e.Addr()]++
		}
	}
	assert.Equal(t, map[string]int{"v1": 8000, "v2": 2000}, total)
	arm := 0
	for _, in := range list[3:] {
		arm += first[in.Addr]
	}
	for _, in := range list[3:] {
		assert.InDelta(t, float64(arm)/5, first[in.Addr], 3, "the walk and the cursor must not run in step: %v", first)
	}
}

func TestAnUpdateKeepsEndpointsRotationAndWalks(t *testing.T) {
	doc := "gray: v1\ndefault: v1\nrules:\n- {name: r, to: {v2: 20%}}\n"
	list := versions("v1", "v1", "v2", "v2")
	d := Build(rules(t, doc), nil, snapshot(list...), Options{}, nil)
	d.Endpoint(1).inflight.Add(1)

	// A rebuild every ten requests, with weights changing elsewhere and an
	// instance that comes and goes, disturbs neither share nor rotation.
	total, v2 := map[string]int{}, map[string]int{}
	for i := range 10_000 {
		if i%10 == 0 {
			next := append(versions("v1", "v1", "v2", "v2"), instance("10.0.0.0:1", float64(1+i%7), "version", "v3"))
			d = Build(rules(t, doc), nil, snapshot(next[:4+i/10%2]...), Options{}, d)
		}
		dec, err := d.Decide(request{})
		require.NoError(t, err)
		_, e := d.Pick(&dec, Pick{})
		total[dec.Target]++
		if dec.Target == "v2" {
			v2[e.Addr()]++
		}
	}
	assert.Equal(t, map[string]int{"v1": 8000, "v2": 2000}, total)
	// Each may be 2 off, and 1 for each core that has a run under way.
	assert.InDelta(t, v2["10.0.0.1:3"], v2["10.0.0.1:4"], float64(2*(2+runtime.GOMAXPROCS(0))))
	for i, in := range d.Snapshot().All() {
		if in.Addr == "10.0.0.1:2" {
			assert.EqualValues(t, 1, d.Endpoint(i).InFlight(), "the endpoint outlives the snapshot")
		}
	}
}

func TestTwoRulesWithOneSaltHaveTheirOwnWalks(t *testing.T) {
	doc := `
gray: v1
default: v1
rules:
- {name: a, when: {path: /a}, to: {v2: 50%}, salt: s}
- {name: b, when: {path: /b}, to: {v2: 50%}, salt: s}
`
	list := versions("v1", "v2")
	d := Build(rules(t, doc), nil, snapshot(list...), Options{}, Build(rules(t, doc), nil, snapshot(list...), Options{}, nil))
	got := map[string]int{}
	for range 5000 {
		for _, path := range []string{"/a", "/b"} {
			dec, err := d.Decide(request{path: path})
			require.NoError(t, err)
			got[path+dec.Target]++
		}
	}
	assert.InDelta(t, 2500, got["/av2"], 50)
	assert.InDelta(t, 2500, got["/bv2"], 50)
}

func TestDecideAndPickDoNotAllocate(t *testing.T) {
	d := Build(rules(t, releasePlan+"balance: {hash: user}\n"), nil, snapshot(versions("v1", "v1", "v2")...), Options{}, nil)
	for name, req := range map[string]config.Request{
		"rule":    request{headers: map[string]string{"x-gray-version": "v2"}},
		"sticky":  request{path: "/sticky", user: "u1"},
		"drawn":   request{path: "/drawn"},
		"default": request{},
	} {
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			dec, err := d.Decide(req)
			if err != nil {
				t.Error(err)
			}
			d.Pick(&dec, Pick{})
		}), name)
	}
}

func TestARingIsBuiltOnlyWhenItsMembersChange(t *testing.T) {
	doc := "gray: v1\ndefault: v1\nbalance: {hash: user}\n"
	d := Build(rules(t, doc), nil, snapshot(versions("v1", "v1", "v2")...), Options{}, nil)
	same := Build(rules(t, doc), nil, snapshot(versions("v1", "v1", "v3")...), Options{}, d)
	assert.Same(t, &d.standard.subset.ring.hashes[0], &same.standard.subset.ring.hashes[0])
	list := versions("v1", "v1", "v3")
	list[0].Weight++
	heavier := Build(rules(t, doc), nil, snapshot(list...), Options{}, same)
	assert.NotSame(t, &same.standard.subset.ring.hashes[0], &heavier.standard.subset.ring.hashes[0])
	fewer := Build(rules(t, doc), nil, snapshot(versions("v1")...), Options{}, heavier)
	assert.NotSame(t, heavier.standard.subset.ring, fewer.standard.subset.ring)
}

func TestOnlyADocumentCanHash(t *testing.T) {
	d := Build(nil, nil, snapshot(versions("v1")...), Options{Policy: config.Hash}, nil)
	dec, err := d.Decide(request{user: "u1"})
	require.NoError(t, err)
	_, e := d.Pick(&dec, Pick{})
	assert.Equal(t, "10.0.0.1:1", e.Addr())
}
