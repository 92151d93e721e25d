package config

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestArmsTakeTheirSlots(t *testing.T) {
	for to, want := range map[string][]Arm{
		"to: {v2: 10%}":                                   {{"v2", 0, 1000}},
		"to: {v3: 5%, v2: 10%}":                           {{"v2", 0, 1000}, {"v3", 1000, 1500}},
		"to: {v3: 5%, v1: 20%, v2: 10%, v0: 0.01%}":       {{"v0", 0, 1}, {"v2", 1, 1001}, {"v3", 1001, 1501}},
		"to: {v2: 0%, v3: 100%}":                          {{"v2", 0, 0}, {"v3", 0, 10000}},
		"to: {v1: 50%}":                                   {},
		"to: {v2: 10%}\n  sticky: user":                   {{"v2", 0, 1000}},
		"to: {v3: 5%, v2: 10%}\n  sticky: user":           {{"v2", 0, 1000}, {"v3", 9500, 10000}},
		"to: {v3: 50%, v2: 50%}\n  sticky: user":          {{"v2", 0, 5000}, {"v3", 5000, 10000}},
		"to: {v3: 0%, v2: 10%}\n  sticky: user":           {{"v2", 0, 1000}, {"v3", 10000, 10000}},
		"to: {v3: 5%, v1: 20%, v2: 10%}\n  sticky: user":  {{"v2", 0, 1000}, {"v3", 9500, 10000}},
		"to: {v3: 5%, v1: 20%}\n  sticky: user":           {{"v3", 0, 500}},
		"to: {v1: 5%}\n  sticky: user":                    {},
		"to: {V2: 1%, v10: 1%, v2: 1%}\n  enabled: false": {{"V2", 0, 100}, {"v10", 100, 200}, {"v2", 200, 300}},
	} {
		r := accept(t, rule("name: a", to)).Rules[0]
		assert.True(t, r.Split, to)
		assert.Equal(t, want, append([]Arm{}, r.To...), to)
	}
}

// at returns the target of a slot, "" if it is outside every arm.
func at(r *Rule, slot int) string {
	if arm := r.Arm(slot); arm >= 0 {
		return r.To[arm].Target
	}
	return ""
}

func TestArmFindsTheTargetOfASlot(t *testing.T) {
	r := Rule{To: []Arm{{"zero", 0, 0}, {"a", 0, 10}, {"none", 10, 10}, {"b", 10, 20}, {"c", 9990, 10000}, {"last", 10000, 10000}}}
	for slot, want := range map[int]string{0: "a", 9: "a", 10: "b", 19: "b", 20: "", 5000: "", 9989: "", 9990: "c", 9999: "c"} {
		assert.Equal(t, want, at(&r, slot), slot)
	}
	assert.Equal(t, -1, (&Rule{}).Arm(0))
}

func TestAShareThatGrowsLosesNoKey(t *testing.T) {
	parse := func(v2, v3 int) *Rule {
		return &accept(t, rule("name: a", fmt.Sprintf("to: {v2: %d%%, v3: %d%%}", v2, v3), "sticky: user")).Rules[0]
	}
	before, after := parse(10, 20), parse(25, 75)
	counts := map[string]int{}
	const users = 20_000
	for i := range users {
		slot := Slot("salt", fmt.Sprint("user-", i))
		now := at(after, slot)
		counts[now]++
		if old := at(before, slot); old != "" {
			assert.Equal(t, old, now)
		}
	}
	assert.InDelta(t, 0.25*users, counts["v2"], 0.01*users)
	assert.InDelta(t, 0.75*users, counts["v3"], 0.01*users)
}
