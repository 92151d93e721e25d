package faults

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// envSeed repeats the requests of a run that printed its seed.
const envSeed = "FAULTS_SEED"

// TestFaults runs each fault once and short, and holds our clients to the goals.
func TestFaults(t *testing.T) {
	seed := rand.Uint64() >> 33
	if text := os.Getenv(envSeed); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, envSeed)
	}
	t.Logf("%s=%d", envSeed, seed)
	s := &Suite{
		Size: Short(), Nacos: shared(t), Clients: append(Ours(), Rivals()...), Seed: seed, Dir: t.TempDir(), Logf: t.Logf,
	}
	goals := Goals(s.Size)
	for _, f := range Faults() {
		t.Run(f.ID, func(t *testing.T) {
			shared(t)
			s.Logf = t.Logf
			result, err := s.Run(t.Context(), f)
			require.NoError(t, err)
			for _, figure := range result.Figures() {
				t.Logf("FIGURE %s", figure)
			}
			goal, ok := goals[f.ID]
			require.True(t, ok, "a fault without a goal")
			assert.Empty(t, goal.Missed(result))
		})
	}
}
