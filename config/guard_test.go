package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestProblemsOfGuardAndLimitsStandWhereTheyAre(t *testing.T) { guardProblems().run(t) }

func guardProblems() table {
	const (
		root     = "gray: v1\ndefault: v1\n" // what is wrong stands at line 3
		declared = root + "targets: {v1: {a: b}, v2: {a: c}}\n"
	)
	return table{lintRules, map[string]wrong{
		// The guard.
		"guard":                      {root + "guard: {errors: 20%, over: 30s, min: 50, failures: 5, hold: 30s}\n", nil},
		"guard by errors":            {root + "guard: {errors: 0%}\n", nil},
		"guard by failures":          {root + "guard: {failures: 0}\n", nil},
		"guard without value":        {root + "guard:\n", []string{"3:7 wrong-type"}},
		"guard is a word":            {root + "guard: on\n", []string{"3:8 wrong-type"}},
		"guard is a list":            {root + "guard: [errors]\n", []string{"3:8 wrong-type"}},
		"guard with an anchor":       {root + "guard: &a {errors: 1}\n", []string{"3:8 anchor"}},
		"guard of nothing":           {root + "guard: {}\n", []string{"3:8 missing-field"}},
		"guard by nothing":           {root + "guard: {over: 30s, hold: 30s}\n", []string{"3:9 missing-field"}},
		"guard by nothing, in lines": {root + "guard:\n  min: 1\n  over: 30s\n", []string{"4:3 missing-field"}},
		"guard by what was refused":  {root + "guard: {errors: &a 1%}\n", []string{"3:17 anchor"}},
		"guard's unknown fields":     {root + "guard: {errors: 1%, x-why: a, error: 1%, [a]: b}\n", []string{"3:21 unknown-field", "3:31 unknown-field", "3:42 wrong-type"}},
		"guard's fields twice":       {root + "guard: {errors: 1%, errors: 2}\n", []string{"3:21 duplicate-key"}},
		"errors that are no percent": {root + "guard: {errors: 20}\n", []string{"3:17 bad-percent"}},
		"errors without value":       {root + "guard: {errors: }\n", []string{"3:17 bad-percent"}},
		"errors is a list":           {root + "guard: {errors: [20%]}\n", []string{"3:17 wrong-type"}},
		// Its durations: 1s to 10m, and 1s to 1h.
		"shortest durations":              {root + "guard: {errors: 1%, over: 1s, hold: 1000ms}\n", nil},
		"longest durations":               {root + "guard: {errors: 1%, over: 10m, hold: 1h}\n", nil},
		"durations in other units":        {root + "guard: {errors: 1%, over: 600000ms, hold: 3600s}\n", nil},
		"zeros before a duration":         {root + "guard: {errors: 1%, over: 0030s}\n", nil},
		"too short":                       {root + "guard: {errors: 1%, over: 999ms, hold: 0s}\n", []string{"3:27 bad-duration", "3:40 bad-duration"}},
		"too long":                        {root + "guard: {errors: 1%, over: 601s, hold: 61m}\n", []string{"3:27 bad-duration", "3:39 bad-duration"}},
		"over is longer than hold may be": {root + "guard: {errors: 1%, over: 1h}\n", []string{"3:27 bad-duration"}},
		"over without value":              {root + "guard: {errors: 1%, over: }\n", []string{"3:27 bad-duration"}},
		"over is a number":                {root + "guard: {errors: 1%, over: 30}\n", []string{"3:27 bad-duration"}},
		"over is a list":                  {root + "guard: {errors: 1%, over: [30s]}\n", []string{"3:27 wrong-type"}},
		"hold is a map":                   {root + "guard: {errors: 1%, hold: {s: 30}}\n", []string{"3:27 wrong-type"}},
		"no durations":                    {root + "guard: {errors: 1%, over: 1m30s, hold: 1.5s}\n", []string{"3:27 bad-duration", "3:40 bad-duration"}},
		"no units":                        {root + "guard: {errors: 1%, over: 30S, hold: 1d}\n", []string{"3:27 bad-duration", "3:38 bad-duration"}},
		"signs and spaces":                {root + "guard: {errors: 1%, over: +30s, hold: '30 s'}\n", []string{"3:27 bad-duration", "3:39 bad-duration"}},
		"other digits":                    {root + "guard: {errors: 1%, over: ３０s, hold: -30s}\n", []string{"3:27 bad-duration", "3:38 bad-duration"}},
		"beyond a number":                 {root + "guard: {errors: 1%, over: 99999999999999999999s, hold: 9223372036854775807h}\n", []string{"3:27 bad-duration", "3:56 bad-duration"}},
		// Its whole numbers.
		"whole numbers":               {root + "guard: {failures: 1000000000, min: 0}\n", nil},
		"a whole number in quotes":    {root + "guard: {failures: '5'}\n", nil},
		"min is negative":             {root + "guard: {errors: 1%, min: -1}\n", []string{"3:26 bad-value"}},
		"min with a sign":             {root + "guard: {errors: 1%, min: +1}\n", []string{"3:26 bad-value"}},
		"min with a fraction":         {root + "guard: {errors: 1%, min: 1.0}\n", []string{"3:26 bad-value"}},
		"min with a power":            {root + "guard: {errors: 1%, min: 1e3}\n", []string{"3:26 bad-value"}},
		"min in sixteens":             {root + "guard: {errors: 1%, min: 0x10}\n", []string{"3:26 bad-value"}},
		"min with a line between":     {root + "guard: {errors: 1%, min: 1_000}\n", []string{"3:26 bad-value"}},
		"min is a percent":            {root + "guard: {errors: 1%, min: 50%}\n", []string{"3:26 bad-value"}},
		"min is empty":                {root + "guard: {errors: 1%, min: }\n", []string{"3:26 bad-value"}},
		"min is a list":               {root + "guard: {errors: 1%, min: [1]}\n", []string{"3:26 wrong-type"}},
		"min is too large":            {root + "guard: {errors: 1%, min: 1000000001}\n", []string{"3:26 bad-value"}},
		"failures is beyond a number": {root + "guard: {failures: 99999999999999999999}\n", []string{"3:19 bad-value"}},
		// Limits.
		"limits":                           {root + "limits: {v1: {timeout: 800ms, retries: 0}, v2: {retries: 5}, v3: {}}\n", nil},
		"no limits":                        {root + "limits: {}\n", nil},
		"limits without value":             {root + "limits:\n", []string{"3:8 wrong-type"}},
		"limits is a list":                 {root + "limits: [v1]\n", []string{"3:9 wrong-type"}},
		"limits of a target without value": {root + "limits:\n  v1:\n", []string{"4:6 wrong-type"}},
		"limits of a target is a duration": {root + "limits: {v1: 800ms}\n", []string{"3:14 wrong-type"}},
		"limits of a target is a list":     {root + "limits: {v1: [800ms]}\n", []string{"3:14 wrong-type"}},
		"limits of a declared target":      {declared + "limits: {v2: {retries: 1}}\n", nil},
		"limits of an undeclared target":   {declared + "limits: {v3: {retries: 9}}\n", []string{"4:10 unknown-target", "4:24 bad-value"}},
		"limits before the targets":        {root + "limits: {v2: {retries: 1}, v3: {}}\ntargets: {v1: {a: b}, v2: {a: c}}\n", []string{"3:28 unknown-target"}},
		"limits of no target":              {root + "limits: {v_: {}, 2: {}, [v2]: {}, &a v3: {retries: 9}}\n", []string{"3:10 bad-name", "3:18 needs-quotes", "3:25 wrong-type", "3:35 anchor"}},
		"limits of a target twice":         {root + "limits: {v2: {retries: 1}, v2: {retries: 2}}\n", []string{"3:28 duplicate-key"}},
		"unknown limits":                   {root + "limits: {v2: {x-why: a, timeouts: 1s}}\n", []string{"3:15 unknown-field", "3:25 unknown-field"}},
		"retries":                          {root + "limits: {v2: {retries: 6}, v3: {retries: -1}, v4: {retries: true}, v5: {retries: [1]}}\n", []string{"3:24 bad-value", "3:42 bad-value", "3:61 bad-value", "3:82 wrong-type"}},
		"timeouts":                         {root + "limits: {v2: {timeout: 1}, v3: {timeout: }, v4: {timeout: [1s]}, v5: {timeout: .5s}, v6: {timeout: 1m1s}}\n", []string{"3:24 bad-duration", "3:42 bad-duration", "3:59 wrong-type", "3:80 bad-duration", "3:100 bad-duration"}},
		"timeouts of any length":           {root + "limits: {v2: {timeout: 1ms}, v3: {timeout: 2000h}}\n", nil},
	}}
}

func TestAGuardHasDefaults(t *testing.T) {
	const root = "gray: v1\ndefault: v1\n"
	for guard, want := range map[string]Guard{
		"{errors: 20%}":             {Errors: 2000, Over: 30 * time.Second, Min: 50, Hold: 30 * time.Second},
		"{errors: 0%, min: 0}":      {Errors: 0, Over: 30 * time.Second, Hold: 30 * time.Second},
		"{failures: 7}":             {Errors: -1, Over: 30 * time.Second, Min: 50, Failures: 7, Hold: 30 * time.Second},
		"{failures: 007, over: 1s}": {Errors: -1, Over: time.Second, Min: 50, Failures: 7, Hold: 30 * time.Second},
		"{errors: 0.01%, over: 10m, min: 1, failures: 2, hold: 1h}": {
			Errors: 1, Over: 10 * time.Minute, Min: 1, Failures: 2, Hold: time.Hour,
		},
	} {
		assert.Equal(t, &want, accept(t, root+"guard: "+guard+"\n").Guard, guard)
	}
	assert.Nil(t, accept(t, root).Guard)
}

func TestALimitSaysWhatTheDocumentSays(t *testing.T) {
	rules := accept(t, "gray: v1\ndefault: v1\nlimits: {v1: {timeout: 1500ms, retries: 0}, v2: {retries: 5}, v3: {}}\n")
	assert.Equal(t, map[string]Limit{
		"v1": {Timeout: 1500 * time.Millisecond},
		"v2": {Retries: 5},
		"v3": {Retries: -1},
	}, rules.Limits)
}
