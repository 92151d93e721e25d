package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

const hashTable = "Consistent hash: who owns the keys"

// When an instance leaves exactly its own keys move, and every instance gets its
// share of them.
func TestHashQuality(t *testing.T) {
	n, samples := 1000, 1_000_000
	if testing.Short() {
		n, samples = 200, 100_000
	}
	many := keys(samples)
	for _, p := range keyedPeers {
		if p.name == "ours-decide" || p.name == "ours-done" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			few := many[:samples/10]
			small, large := skew(shares(p.build(t, equal(100)), 100, few)), skew(shares(p.build(t, equal(n)), n, many))
			r := row{
				Table: hashTable,
				Columns: []string{
					"", "max/mean of keys, 100 instances", fmt.Sprintf("%d instances", n),
					fmt.Sprintf("most keys against its share, %d weights from 1 to 100", n), "instances without a key",
					"the heaviest of 100 leaves: keys it had, keys that moved", "the lightest leaves", "a weight of 100 changes by 1",
				},
				Cells: []string{p.name, fmt.Sprintf("%.2f", small), fmt.Sprintf("%.2f", large)},
				Values: map[string]float64{
					"hash/skew/100/" + p.name: small, "hash/skew/" + p.name: large,
				},
			}
			if p.equal {
				r.Cells = append(r.Cells, "–", "–")
			} else {
				over, never := fairness(owed(p.name, mixed(n)), shares(p.build(t, mixed(n)), n, many))
				r.Cells = append(r.Cells, fmt.Sprintf("%.2f×", over), strconv.Itoa(never))
				r.Values["hash/over/"+p.name], r.Values["hash/never/"+p.name] = over, float64(never)
			}
			heavy, light, other := leave(t, p, 1, few), leave(t, p, -1, few), reweigh(t, p, few)
			r.Cells = append(r.Cells, heavy.String(), light.String(), other)
			r.Values["hash/moved/"+p.name] = max(heavy.needless(), light.needless())
			report(t, r)
			if p.name == "ours" {
				assert.Zero(t, heavy.others, "keys of others that move when the heaviest leaves")
				assert.Zero(t, light.others, "keys of others that move when the lightest leaves")
				assert.Zero(t, r.Values["hash/never/ours"], "instances without a key")
			}
		})
	}
}

// shares is how many keys each of n instances has.
func shares(k keyed, n int, sample []string) []int {
	got := make([]int, n)
	for _, key := range sample {
		got[k.owner(key)]++
	}
	return got
}

// skew is the most keys of an instance over the mean.
func skew(got []int) float64 {
	sum := 0
	for _, n := range got {
		sum += n
	}
	return float64(slices.Max(got)) * float64(len(got)) / float64(sum)
}

// enough is how many keys an instance must be owed for its excess to be no chance.
const enough = 200

// fairness is the most that an instance has over its share by weight, and how many
// have nothing.
func fairness(weights []float64, got []int) (over float64, never int) {
	var total, sum float64
	for i := range weights {
		total += weights[i]
		sum += float64(got[i])
	}
	for i := range weights {
		if owed := sum * weights[i] / total; owed >= enough {
			over = max(over, float64(got[i])/owed)
		}
		if got[i] == 0 {
			never++
		}
	}
	return over, never
}

// departure is what became of keys when an instance left.
type departure struct{ all, own, others int }

func (d departure) String() string {
	return fmt.Sprintf("%s, %s", percent(float64(d.own)/float64(d.all)), percent(float64(d.own+d.others)/float64(d.all)))
}

// needless is the share of keys that moved although their owner was still there.
func (d departure) needless() float64 { return float64(d.others) / float64(d.all) }

// leave takes the heaviest (sign 1) or the lightest (-1) of a hundred instances away.
func leave(t *testing.T, p peer[keyed], sign int, sample []string) departure {
	t.Helper()
	in := mixed(100)
	gone := 0
	for i := range in {
		if cmp.Compare(in[i].weight, in[gone].weight) == sign {
			gone = i
		}
	}
	before := p.build(t, in)
	after := p.build(t, slices.Delete(slices.Clone(in), gone, gone+1))
	d := departure{all: len(sample)}
	for _, key := range sample {
		was, is := before.owner(key), after.owner(key)
		if is >= gone {
			is++
		}
		switch {
		case was == gone:
			d.own++
		case was != is:
			d.others++
		}
	}
	return d
}

// reweigh is the share of keys that move when one of a hundred weights changes by 1.
func reweigh(t *testing.T, p peer[keyed], sample []string) string {
	t.Helper()
	if p.equal {
		return "–"
	}
	in := mixed(100)
	before := p.build(t, in)
	in = slices.Clone(in)
	in[50].weight++
	after := p.build(t, in)
	moved := 0
	for _, key := range sample {
		if before.owner(key) != after.owner(key) {
			moved++
		}
	}
	return percent(float64(moved) / float64(len(sample)))
}
