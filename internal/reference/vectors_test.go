package reference

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vector is one case of another evaluator of the rule language.
type vector struct {
	Name, Service string
	Rules, Global *string
	Instances     []vectorInstance
	Requests      []Request
	Answers       []Answer
}

// vectorInstance is an Instance with the defaults of section 9: "absent: 1,
// true, true".
type vectorInstance Instance

func (in *vectorInstance) UnmarshalJSON(text []byte) error {
	plain := Instance{Weight: 1, Healthy: true, Enabled: true}
	err := json.Unmarshal(text, &plain)
	*in = vectorInstance(plain)
	return err
}

// refused reports whether the language refuses the case's document: it has a
// plain scalar, 1e3 or y, where a string belongs.
func refused(name string) bool {
	return slices.Contains([]string{"case-31", "case-50", "case-79"}, name)
}

func TestTheReferenceAgreesWithTheVectors(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../balancer/testdata/decide.jsonl")
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	cases, decisions := 0, 0
	for lines.Scan() {
		var v vector
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
		if refused(v.Name) {
			continue
		}
		var doc *Document
		if v.Rules != nil {
			doc = readDocument(t, *v.Rules)
		}
		var global *Global
		if v.Global != nil {
			global = readGlobal(t, *v.Global)
		}
		var instances []Instance
		for _, in := range v.Instances {
			instances = append(instances, Instance(in))
		}
		for i, req := range v.Requests {
			got := Decide(doc, global, v.Service, "", instances, req)
			assert.Equal(t, v.Answers[i], got, "%s %s\n%s", v.Name, req.ID, lines.Text())
			decisions++
		}
		cases++
	}
	require.NoError(t, lines.Err())
	assert.Equal(t, []int{147, 1176}, []int{cases, decisions})
}
