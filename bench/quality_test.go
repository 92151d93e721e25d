package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// rounds is how often a quality is measured: pickers begin at random points.
func rounds() int {
	if testing.Short() {
		return 3
	}
	return 20
}

const weightedTable = "Exactness of the weighted pickers"

// Each endpoint gets its share by weight to within a few picks, updates or not.
func TestWeightedQuality(t *testing.T) {
	const n, picks = 100, 10_000
	in := mixed(n)
	for _, p := range drawnPeers {
		if p.equal || p.name == "kitex-alias-next" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			weights := owed(p.name, in)
			var still, moving spread
			for range rounds() {
				still = still.and(spreadOf(weights, counts(p.build(t, in), n, picks, 0)))
			}
			for range rounds() {
				moving = moving.and(spreadOf(weights, counts(p.build(t, in), n, picks, 10)))
			}
			run, order := longestRun(t, p)
			report(t, row{
				Table: weightedTable,
				Columns: []string{
					"", "worst error of an endpoint, picks", "misplaced, mean", "with a rebuild every 10 picks",
					"longest run, weights 5,1,1", "its first picks",
				},
				Cells: []string{
					p.name, fmt.Sprintf("%.1f", still.worst), percent(still.misplaced), percent(moving.misplaced),
					strconv.Itoa(run), order,
				},
				Values: map[string]float64{
					"quality/worst/" + p.name:     still.worst,
					"quality/misplaced/" + p.name: still.misplaced,
					"quality/rebuilt/" + p.name:   moving.misplaced,
					"quality/run/" + p.name:       float64(run),
				},
			})
			if p.name == "ours" || p.name == "ours-view" {
				assert.LessOrEqual(t, still.worst, 4.0, "the worst error in picks, of all starts")
				// The sequence itself misplaces 0.30 % of 10,000 picks over 100
				// endpoints; rounding to whole picks alone is 0.13 %.
				assert.LessOrEqual(t, moving.misplaced, 0.0036, "misplaced traffic with a rebuild every 10 picks")
			}
		})
	}
}

// owed is the weights that a peer is told, whose shares it owes.
func owed(name string, in []instance) []float64 {
	whole := !strings.HasPrefix(name, "ours") && !strings.HasPrefix(name, "nacos") && name != "grpc-weighted_round_robin"
	weights := make([]float64, len(in))
	for i := range in {
		if weights[i] = in[i].weight; whole {
			weights[i] = float64(in[i].whole())
		}
	}
	return weights
}

// counts is how many of the picks each endpoint gets. With every > 0 the list comes
// again after so many picks.
func counts(d drawn, n, picks, every int) []int {
	got := make([]int, n)
	for i := range picks {
		if every > 0 && i%every == 0 {
			d.rebuild()
		}
		got[d.index()]++
	}
	return got
}

// spread is how far counts are from the weights.
type spread struct {
	worst     float64 // of an endpoint, in picks
	misplaced float64 // the share of picks that should have gone elsewhere
}

// and joins one round: the worst error counts, and the mean of what is misplaced.
func (s spread) and(o spread) spread {
	return spread{max(s.worst, o.worst), s.misplaced + o.misplaced/float64(rounds())}
}

func spreadOf(weights []float64, got []int) (s spread) {
	var total, picks float64
	for i := range weights {
		total += weights[i]
		picks += float64(got[i])
	}
	for i := range weights {
		off := math.Abs(float64(got[i]) - picks*weights[i]/total)
		s.worst = max(s.worst, off)
		s.misplaced += off / 2 / picks
	}
	return s
}

// longestRun is how often in a row the heaviest of 5,1,1 is picked, and the first
// picks as letters.
func longestRun(t *testing.T, p peer[drawn]) (longest int, order string) {
	t.Helper()
	in := equal(3)
	in[0].weight = 5
	d := p.build(t, in)
	run, last, first := 0, -1, []byte(nil)
	for i := range 1000 {
		k := d.index()
		if k != last {
			run, last = 0, k
		}
		run++
		longest = max(longest, run)
		if i < 14 {
			first = append(first, byte('a'+k))
		}
	}
	return longest, string(first)
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// A walk of slots and a picker's rotation are not in step: 20 % of the traffic over
// five instances comes out even.
func TestSplitAndPickAreUnrelated(t *testing.T) {
	in := equal(10)
	for i := range in {
		in[i].version = []string{"v1", "v2"}[i%2]
	}
	o := newOurs(t, "gray: v1\ndefault: v1\nrules:\n- {name: fifth, to: {v2: 20%}}\n", in)
	got := make([]int, len(in))
	for range 10_000 {
		got[o.decideAndPick(t, &request{})]++
	}
	for i := 1; i < len(in); i += 2 {
		assert.InDelta(t, 400, got[i], 3, "%v", got)
	}
}
