package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadSaysWhoAnsweredEachHop(t *testing.T) {
	var c counts
	for _, path := range []string{"order v1 > user v1", "order v1 > user v1", "order v1 > user v2", "order v2 > user v1"} {
		c.add(0, answer{path: path})
	}
	c.add(1, answer{err: errors.New("refused")})
	assert.Equal(t, `anyone               order v1 75% v2 25%   user v1 75% v2 25%   (4 answered, 0 failed)
x-gray-version: v2   (0 answered, 1 failed)
x-gray-lane: canary  (0 answered, 0 failed)
`, c.take())
	assert.NotContains(t, c.take(), "75%", "a report starts again")
}

func TestEnvironmentThatCannotWorkIsNamed(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want string
	}{
		"no role":    {nil, `ROLE=""`},
		"no rate":    {map[string]string{"ROLE": "load", "RATE": "many"}, `RATE="many"`},
		"too high":   {map[string]string{"ROLE": "load", "RATE": "1001"}, `RATE="1001"`},
		"no reports": {map[string]string{"ROLE": "load", "RATE": "1", "REPORT_EVERY": "0s"}, `REPORT_EVERY="0s"`},
		"no weight":  {map[string]string{"ROLE": "gateway", "SERVICE_WEIGHT": "heavy"}, "SERVICE_WEIGHT"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			require.ErrorContains(t, run(t.Context(), tt.env["ROLE"]), tt.want)
		})
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Setenv("RATE", "1000")
	t.Setenv("REPORT_EVERY", "1h")
	t.Setenv("TARGET", "http://127.0.0.1:1/")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.NoError(t, runLoad(ctx, &out))
	assert.Empty(t, out.String())
}
