package balancer

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

func TestAnExplanationTellsEveryStep(t *testing.T) {
	a, b, c := instance("10.0.0.1:1", 1, "version", "v1", "zone", "a"), instance("10.0.0.2:1", 1, "version", "v1", "zone", "b"), instance("10.0.0.3:1", 1, "version", "v2")
	c.Healthy = false
	d := Build(rules(t, `
gray: v1
default: v1
rules:
- {name: paused, enabled: false, to: v2}
- {name: testers, when: {header.x-tester: ["yes", sure]}, unless: {path: {prefix: /pay}}, to: v2}
- {name: asked, by: header.x-gray-version}
- {name: all, to: {v2: 50%}}
isolate: ["10.0.0.9:1"]
prefer: [zone, region, env]
`), nil, snapshot(a, b, c), Options{Caller: map[string]string{"zone": "b", "env": "gray"}}, nil)

	e := d.Explain(request{headers: map[string]string{"x-tester": "yes"}, path: "/pay/1", lane: "blue"}, 4999)
	require.NoError(t, e.Err)
	assert.Equal(t, `lane "blue" has no usable instance here`, e.Lane)
	assert.Equal(t, []RuleCheck{
		{"paused", "enabled: false"},
		{"testers", `unless: path is "/pay/1"`},
		{"asked", "by: header.x-gray-version is absent"},
		{"all", ""},
	}, e.Rules)
	assert.Equal(t, []Step{
		{"instances of v2", "", []string{"10.0.0.3:1"}},
		{"usable", "1 unhealthy", []string{}},
		{"instead, usable of v1", "", []string{"10.0.0.1:1", "10.0.0.2:1"}},
		{"prefer zone=b", "", []string{"10.0.0.2:1"}},
		{"prefer env=gray: skipped, it keeps too few", "", []string{"10.0.0.2:1"}},
	}, e.Steps)
	assert.Equal(t, 4999, e.Decision.Slot)

	e = d.Explain(request{headers: map[string]string{"x-tester": "no"}, lane: "-"}, 5000)
	assert.Equal(t, `"-" is no lane's name`, e.Lane)
	assert.Equal(t, `when: header.x-tester is "no", not "sure" or "yes"`, e.Rules[1].Why)
	assert.Equal(t, "v1", e.Decision.Target)
}

func TestAnExplanationMovesNoWalk(t *testing.T) {
	d := Build(rules(t, "gray: v1\ndefault: v1\nrules:\n- {name: half, to: {v2: 50%}}\n"), nil, snapshot(versions("v1", "v2")...), Options{}, nil)
	seen := make(map[int]bool, config.Slots)
	for range config.Slots {
		d.Explain(request{}, -1)
		dec, err := d.Decide(request{})
		require.NoError(t, err)
		require.False(t, seen[dec.Slot])
		seen[dec.Slot] = true
	}
}

func TestARefusalIsExplained(t *testing.T) {
	d := Build(rules(t, "gray: v1\ndefault: v1\ntargets: {v1: {version: v1}}\nrules:\n- {name: asked, by: header.v, missing: fail}\n"),
		nil, snapshot(versions("v1")...), Options{}, nil)
	e := d.Explain(request{headers: map[string]string{"v": "v9"}}, 0)
	require.ErrorIs(t, e.Err, ErrUnknownTarget)
	assert.Empty(t, e.Steps)
	assert.Equal(t, []RuleCheck{{"asked", ""}}, e.Rules)
}
