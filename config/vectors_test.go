package config

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
	ran := 0
	for line := range bytes.Lines(data) {
		var v vector
		require.NoError(t, json.Unmarshal(line, &v))
		ran++
		t.Run(v.Name, func(t *testing.T) {
			problems, err := Lint(v.File, []byte(v.Text), nil)
			require.NoError(t, err)
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
	assert.Equal(t, 84, ran)
}
