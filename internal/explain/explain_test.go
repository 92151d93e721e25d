package explain

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// The command's tests walk all of the text; these are about what the command does not
// use: a director that was built elsewhere.

func director(t *testing.T, doc string, o balancer.Options) *Director {
	t.Helper()
	var rules *config.Rules
	if doc != "" {
		var problems config.Problems
		rules, problems = config.ParseRules("gray.order.yaml", "order", []byte(doc))
		require.NoError(t, problems.Err())
	}
	var list []registry.Instance
	for _, line := range []string{
		`{"addr":"10.0.0.1:80","metadata":{"version":"v1","zone":"a"}}`,
		`{"addr":"10.0.0.2:80","metadata":{"version":"v2"}}`,
	} {
		in, err := ParseInstance([]byte(line))
		require.NoError(t, err)
		list = append(list, in)
	}
	snapshot := registry.NewSnapshot(registry.Service{Name: "order"}, 0, list)
	return NewDirector(balancer.Build(rules, nil, snapshot, o, nil), rules)
}

func TestTheDefaultIsThatOfTheDocumentOrTheConsumer(t *testing.T) {
	assert.Equal(t, "v2", director(t, "{gray: v1, default: v2}", balancer.Options{DefaultVersion: "v1"}).Default())
	assert.Equal(t, "v1", director(t, "", balancer.Options{DefaultVersion: "v1"}).Default())
	assert.Empty(t, director(t, "", balancer.Options{}).Default())
}

func TestTheCallerIsTheDirectorsOwn(t *testing.T) {
	const doc = "{gray: v1, default: v1, rules: [{name: a, by: caller.wants}, {name: b, to: {v2: 10%}, sticky: caller.zone}]}"
	r, err := ParseRequest([]byte(`{"id":"x"}`), 0)
	require.NoError(t, err)
	d := director(t, doc, balancer.Options{Caller: map[string]string{"wants": "no name"}})
	assert.Contains(t, d.Text(r), `v1, by rule "a"; "no name" is no target`)
	d = director(t, doc, balancer.Options{Caller: map[string]string{"zone": "z"}})
	assert.Contains(t, d.Text(r), `hashed from caller.zone "z" with salt order/b`)
}

func TestAnAnswerHasNoNull(t *testing.T) {
	for _, line := range []string{`{"id":"x"}`, `{"id":"x","headers":{"x-gray-version":["v9"]},"slot":7}`} {
		r, err := ParseRequest([]byte(line), 0)
		require.NoError(t, err)
		text, err := json.Marshal(director(t, "{gray: v1, default: v9, rules: [{name: a, by: header.x-gray-version, missing: fail}]}", balancer.Options{}).Answer(r))
		require.NoError(t, err)
		assert.NotContains(t, string(text), "null")
		assert.Contains(t, string(text), `"error":"no_instance"`)
	}
}
