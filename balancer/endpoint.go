package balancer

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is what this process knows about one instance by using it. It is
// found by the instance's ID and outlives snapshots: a change of weight,
// metadata or order keeps it. Its methods may be called concurrently.
type Endpoint struct {
	id, addr string
	boot     string // tells processes at the same address apart
	since    int64  // when it appeared, on the clock of Options.Now; 0: it was there from the first list on
	_        [64]byte

	// What follows is written by every request, on lines that hold nothing else.
	inflight atomic.Int64
	latency  atomic.Uint64 // the bits of a float64, in ns: see observe; 0: not known
	sampled  atomic.Int64  // when latency was set
	waiting  atomic.Int64  // requests without a first byte; see health.go
	heard    atomic.Int64  // when the last first byte came, or the first of those that wait began
	usual    atomic.Uint64 // the bits of a float64, in ns: the usual time to the first byte
	until    atomic.Int64  // ejected until then; 0: it is not; what is past: to be tried
	tryAt    atomic.Int64  // when a request may try it, if it has stalled

	tarnished atomic.Bool // it has failed lately: successes count too
	judging   sync.Mutex  // guards what follows; subset.ejecting may be taken under it
	changed   int64       // when it was ejected or returned
	due       int64       // when the last ejection was over, and it was to be tried
	window    int64       // when the first of failures was
	failures  int         // since then
	successes int
	row       int // failures in a row
	strikes   int // ejections since it was good for long
	_         [64]byte
}

const (
	// latencyMemory is the time in which an old latency loses half of its say, on the
	// way to newer ones as well as to nothing. In twice that time it is forgotten,
	// however high it was.
	latencyMemory = 10 * time.Second
	// failurePenalty is what a failed request counts as, if it was quicker: a fast
	// error must not look attractive.
	failurePenalty = time.Second
	// leastLatency is the latency below which no difference is made, and that of an
	// endpoint that has none yet: such a one is tried, but not by everybody at once.
	leastLatency = float64(time.Millisecond)
)

// ID returns the instance's ID.
func (e *Endpoint) ID() string { return e.id }

// Addr returns the instance's "ip:port".
func (e *Endpoint) Addr() string { return e.addr }

// InFlight returns the number of requests begun and not yet done.
func (e *Endpoint) InFlight() int64 { return e.inflight.Load() }

// Observe notes how long a request took that ended at now, on the clock of
// Pick.Now, and whether it failed. It serves the policy least.
//
// A latency above the known one replaces it at once, a lower one has a say that
// grows with the time since the last: peak EWMA, as in Finagle. Of two requests
// that end together one may go unheard: both have read the old value, and the
// later one to write wins. That is one sample among many.
func (e *Endpoint) Observe(took time.Duration, failed bool, now int64) {
	if failed {
		took = max(took, failurePenalty)
	}
	sample := float64(max(took, 0))
	if old := math.Float64frombits(e.latency.Load()); sample < old {
		keep := remains(now - e.sampled.Load())
		sample += (old - sample) * keep
	}
	e.latency.Store(math.Float64bits(sample))
	e.sampled.Store(now)
}

// ObserveAtLeast is Observe for a request that was given up: it would have taken
// longer.
func (e *Endpoint) ObserveAtLeast(took time.Duration, now int64) {
	old := math.Float64frombits(e.latency.Load()) * remains(now-e.sampled.Load())
	if float64(took) > max(old, leastLatency) {
		e.Observe(took, false, now)
	}
}

// remains is the say that a latency of this age has: 1 when it is new, a half after
// latencyMemory, none after twice that.
func remains(age int64) float64 {
	return max(0, 1-float64(max(age, 0))/float64(2*latencyMemory))
}

// cost is what one more request at this endpoint costs: the requests in flight, each
// at the latency known, which is forgotten with time so that an endpoint that was
// slow is tried again.
func (e *Endpoint) cost(now int64) float64 {
	latency := math.Float64frombits(e.latency.Load())
	if latency > leastLatency {
		latency *= remains(now - e.sampled.Load())
	}
	return float64(e.inflight.Load()+1) * max(latency, leastLatency)
}
