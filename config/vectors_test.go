package config

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

// later reports whether a document belongs to a part of the language that this
// version refuses as not known yet.
func later(v vector) bool {
	if !strings.HasPrefix(v.File, "gray.") || v.File == "gray._global.yaml" {
		return true
	}
	return slices.ContainsFunc([]string{"isolate", "prefer", "prefer_min", "degrade", "guard", "limits"}, func(field string) bool {
		return strings.Contains(v.Text, "\n"+field+":")
	})
}

type vector struct {
	Name, File, Text string
	Problems         []found
}

type found struct {
	Line           int
	Code, Severity string
}

// The documents and problems of an independent evaluator of the language.
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/lint.jsonl")
	require.NoError(t, err)
	ran, skipped := 0, 0
	for line := range bytes.Lines(data) {
		var v vector
		require.NoError(t, json.Unmarshal(line, &v))
		if later(v) {
			skipped++
			continue
		}
		ran++
		t.Run(v.Name, func(t *testing.T) {
			service := strings.TrimSuffix(strings.TrimPrefix(v.File, "gray."), ".yaml")
			rules, problems := ParseRules(v.File, service, []byte(v.Text))
			assert.Equal(t, rules != nil, problems.Err() == nil)
			got := make([]found, len(problems))
			for i, p := range problems {
				got[i] = found{p.Line, p.Code, p.Severity.String()}
			}
			for i := range got {
				// The parser's own line may be one off.
				if got[i].Code == codeSyntax && len(v.Problems) == 1 && v.Problems[0].Code == codeSyntax {
					assert.InDelta(t, v.Problems[0].Line, got[i].Line, 1)
					got[i].Line = v.Problems[0].Line
				}
			}
			assert.ElementsMatch(t, v.Problems, got, "%v", problems)
		})
	}
	assert.Equal(t, []int{72, 12}, []int{ran, skipped})
}
