package faults

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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
			result.excuseStalls()
			assert.Empty(t, goal.Missed(result))
		})
	}
}

// excuseStalls takes off what our clients took how long the machine may have stood
// still: at this size one stall is longer than some goals. Figures and tables keep it.
func (r *Result) excuseStalls() {
	excused := r.Stalled + mostLate // less than that is not counted
	for i := range r.Rows {
		if row := &r.Rows[i]; isOurs(row.Client) {
			row.LastAttempt = max(0, row.LastAttempt-excused)
		}
	}
	for what := range r.Measures {
		if strings.HasPrefix(what, "seconds ") {
			r.Measures[what] -= excused.Seconds()
		}
	}
}

func TestAStallIsExcusedAndNothingElse(t *testing.T) {
	r := &Result{
		Stalled:  2 * time.Second,
		Rows:     []Row{{Client: OursHTTP, Failed: 1, LastAttempt: 3 * time.Second}, {Client: Naive, LastAttempt: 3 * time.Second}},
		Measures: map[string]float64{firstAnswer: 2.15, refusedWithin: math.Inf(1), hottest: 3},
	}
	r.excuseStalls()
	assert.Equal(t, []Row{{Client: OursHTTP, Failed: 1, LastAttempt: 900 * time.Millisecond}, {Client: Naive, LastAttempt: 3 * time.Second}}, r.Rows)
	assert.InDelta(t, 0.05, r.Measures[firstAnswer], 1e-9)
	assert.InDelta(t, 3, r.Measures[hottest], 0)
	assert.True(t, math.IsInf(r.Measures[refusedWithin], 1), "never is never")
}
