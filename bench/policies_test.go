package bench

import (
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const policiesTable = "Policies with one slow, one failing and one hung instance of ten, in virtual time"

// fate is how an instance of the simulation behaves.
type fate uint8

const (
	sound   fate = iota
	slow         // ten times the time
	failing      // an error at once
	hung         // no answer until the caller's timeout
)

var fates = [...]string{"sound", "slow", "failing", "hung"} // by fate

const (
	simInstances = 10
	simRate      = 500 // requests a second
	simFor       = 60 * time.Second
	simTimeout   = time.Second
	simService   = 10 * time.Millisecond // on the mean, where all is well
)

// errFailed is a request that failed: an error of the network, which all peers take for
// a failure.
var errFailed error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// simPolicy is a picker of the simulation, by the user of a request.
type simPolicy func(user string) (index int, end func(took time.Duration, failed bool))

// simPolicies are ours, through View.Pick and Call.Done, and pickers of others that
// look at load.
var simPolicies = []struct {
	name  string
	build func(testing.TB, []instance) simPolicy
}{
	{"ours-weighted", oursSim(plainDoc)},
	{"ours-least", oursSim(leastDoc)},
	{"ours-hash", oursSim(hashDoc)},
	{"httplb-p2c", loadedSim(httplbP2C)},
	{"httplb-leastloaded", loadedSim(httplbLeastLoaded)},
	{"grpc-least_request", loadedSim(grpcLeastRequest)},
	{"kratos-p2c", loadedSim(kratosP2C)},
}

func loadedSim(build func(testing.TB, []instance) loaded) func(testing.TB, []instance) simPolicy {
	return func(tb testing.TB, in []instance) simPolicy {
		tb.Helper()
		l := build(tb, in)
		return func(string) (int, func(time.Duration, bool)) { return l.begin() }
	}
}

// simResult is what the callers of a simulation saw.
type simResult struct {
	took   []time.Duration // of those that succeeded
	failed int
	at     [len(fates)]int // requests by the fate of their instance
}

func (r *simResult) total() int { return len(r.took) + r.failed }

func (r *simResult) errors() float64 { return float64(r.failed) / float64(r.total()) }

func (r *simResult) quantile(q float64) time.Duration {
	return r.took[min(len(r.took)-1, int(q*float64(len(r.took))))]
}

// TestPolicies prints what callers see of bad instances under each policy, with no
// retries. Ours take the instances out by what requests find; the pickers of others
// leave that to somebody else.
func TestPolicies(t *testing.T) {
	results := map[string]*simResult{}
	for _, p := range simPolicies {
		synctest.Test(t, func(t *testing.T) {
			in := equal(simInstances)
			results[p.name] = simulate(p.build(t, in))
		})
		r := results[p.name]
		require.NotEmpty(t, r.took)
		slices.Sort(r.took)
		cells := []string{
			p.name, percent(r.errors()), r.quantile(0.5).Round(100 * time.Microsecond).String(),
			r.quantile(0.99).Round(100 * time.Microsecond).String(),
		}
		columns := []string{"", "errors", "p50", "p99"}
		for f := slow; f <= hung; f++ {
			columns = append(columns, "requests to the "+fates[f])
			cells = append(cells, percent(float64(r.at[f])/float64(r.total())))
		}
		report(t, row{Table: policiesTable, Columns: columns, Cells: cells, Values: map[string]float64{
			"policies/errors/" + p.name: r.errors(), "policies/p99/" + p.name: r.quantile(0.99).Seconds(),
		}})
	}
	// A fifth of all requests would fail if nobody took the failing and the hung one out.
	for _, name := range []string{"ours-weighted", "ours-least", "ours-hash"} {
		assert.Less(t, results[name].errors(), 0.01, name)
	}
	assert.Less(t, results["ours-least"].quantile(0.99), 200*time.Millisecond)
}

// simulate sends requests at random times for a while. It must run in a bubble.
func simulate(pick simPolicy) *simResult {
	rng := rand.New(rand.NewPCG(6, 60))
	users := keys(10_000)
	r := &simResult{}
	var mu sync.Mutex // guards r
	var wg sync.WaitGroup
	for start := time.Now(); time.Since(start) < simFor; {
		sleep(time.Duration(rng.ExpFloat64() * float64(time.Second) / simRate))
		user := users[rng.IntN(len(users))]
		takes := time.Duration(rng.ExpFloat64() * float64(simService))
		i, end := pick(user)
		f := fateOf(i)
		failed := f == failing || f == hung
		switch f {
		case sound:
		case slow:
			takes *= 10
		case failing:
			takes = time.Millisecond
		case hung:
			takes = simTimeout
		}
		if takes >= simTimeout {
			takes, failed = simTimeout, true
		}
		wg.Go(func() {
			sleep(takes)
			end(takes, failed)
			mu.Lock()
			defer mu.Unlock()
			r.at[f]++
			if failed {
				r.failed++
			} else {
				r.took = append(r.took, takes)
			}
		})
	}
	wg.Wait()
	return r
}

// sleep passes virtual time.
func sleep(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // in a synctest bubble

// fateOf makes the first three of the list bad.
func fateOf(i int) fate {
	if i < len(fates)-1 {
		return fate(i + 1)
	}
	return sound
}
