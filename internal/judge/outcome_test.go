package judge

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type vector struct {
	Name, Service string
	Rules         *string
	Instances     []vectorInstance
	Requests      []vectorRequest
	Answers       []vectorAnswer
}

type vectorInstance struct {
	Addr             string
	Weight           *float64
	Healthy, Enabled *bool
	Metadata         map[string]string
}

type vectorRequest struct {
	Method, Path, User, Lane string
	Headers                  map[string][]string
	Slot                     int
}

type vectorAnswer struct {
	Via, Rule, Target, Fallback, Error string
	Slot                               int
	Candidates                         []string
}

// The judge's own evaluation agrees with the cases of an independent one, as far
// as these keep to the part of the language that the judge knows.
func TestOutcomesAgreeWithVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/decide.jsonl")
	require.NoError(t, err)
	for text := range bytes.Lines(data) {
		var v vector
		require.NoError(t, json.Unmarshal(text, &v))
		t.Run(v.Name, func(t *testing.T) {
			d := noDocument("")
			if v.Rules != nil {
				d, err = read(v.Service, *v.Rules)
				require.NoError(t, err)
			}
			require.Len(t, v.Answers, len(v.Requests))
			for i, r := range v.Requests {
				assert.Equal(t, v.Answers[i], evaluate(d, r, v.Instances), "request %d: %+v", i, r)
			}
		})
	}
}

// evaluate returns the first outcome that has an instance.
func evaluate(d *document, vr vectorRequest, instances []vectorInstance) vectorAnswer {
	r := Request{Method: vr.Method, Path: vr.Path, User: vr.User, Lane: vr.Lane, Headers: map[string]string{}}
	for name, values := range vr.Headers {
		if len(values) == 1 {
			r.Headers[strings.ToLower(name)] = values[0]
		}
	}
	for _, o := range outcomes(d, &r, vr.Slot) {
		candidates := []string{}
		for _, in := range instances {
			healthy := in.Healthy == nil || *in.Healthy || o.fallback == "panic"
			usable := healthy && (in.Enabled == nil || *in.Enabled) && (in.Weight == nil || *in.Weight > 0)
			if o.refusal == "" && usable && o.holds(in.Metadata) {
				candidates = append(candidates, in.Addr)
			}
		}
		if o.refusal != "" || len(candidates) > 0 {
			slices.Sort(candidates)
			return vectorAnswer{o.via, o.rule, o.target, o.fallback, o.refusal, o.slot, candidates}
		}
	}
	return vectorAnswer{}
}
