package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// Whatever a file of requests holds: what is accepted can be answered and
// explained, and what is refused is so in one line.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		`{"id":"r1","method":"GET","path":"/a","headers":{"x-user-id":["u1"]},"cookies":{},"query":{},"user":"","lane":"","caller":{"service":"web","region":"sh"},"slot":123}`,
		"\ufeff{\"id\":\"a\"}\r\n\n{\"id\":null}", `{"id":"a","headers":{"A":["b"],"a":[null]}}`, "[", "null", "{\"id\":\"\\ud800\"}",
	} {
		f.Add([]byte(seed))
	}
	rules, problems := config.ParseRules("rules.yaml", "order", []byte(explainRules))
	require.NoError(f, problems.Err())
	var list []registry.Instance
	for line := range bytes.Lines([]byte(explainInstances)) {
		in, err := explain.ParseInstance(line)
		require.NoError(f, err)
		list = append(list, in)
	}
	e := explainer{service: "order", snapshot: registry.NewSnapshot(registry.Service{Name: "order"}, 0, list)}
	e.before = e.directors(rules)
	f.Fuzz(func(t *testing.T, data []byte) {
		err := eachRequest("requests", bytes.NewReader(data), func(r *explain.Request) error {
			d := e.before.of(r)
			a := d.Answer(r)
			line, err := json.Marshal(a)
			require.NoError(t, err)
			require.NotContains(t, string(line), "null")
			require.Equal(t, a.Error == "", len(a.Candidates) > 0)
			require.True(t, a.Slot >= -1 && a.Slot < config.Slots)
			require.Contains(t, d.Text(r), "\n  →       ")
			return nil
		})
		if err != nil {
			var unusable *exitError
			require.True(t, errors.As(err, &unusable) && unusable.code == exitUsage, "%v", err)
			require.NotContains(t, err.Error(), "\n")
		}
	})
}
