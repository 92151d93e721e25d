package balancer

import (
	"math"
	"math/rand/v2"
	"time"
)

// Verdict is what the end of a request says about its instance.
type Verdict uint8

// The verdicts.
const (
	// Nothing: it was not sent, or its caller left.
	Nothing Verdict = iota
	// Good: an answer, an application's error too.
	Good
	// Bad: no answer, none in time, or one that says that the server is not able to.
	Bad
	// Unreachable: there was no connection to send it on.
	Unreachable
)

// Change is what a verdict, or a guard's count, has changed.
type Change uint8

// The changes.
const (
	// NoChange: nothing.
	NoChange Change = iota
	// Ejected: picks pass over the instance, or decisions over the target, for a while.
	Ejected
	// Returned: a request has shown that it works again.
	Returned
)

const (
	// ejectAfter is how many failures in a row eject an instance; Envoy's
	// consecutive_5xx.
	ejectAfter = 5
	// hungAfter is the same for requests that waited and heard nothing.
	hungAfter = 2
	// ejectWindow is how long failures and successes are counted together, from a
	// first failure on; an instance is ejected if at least ejectAfter, and half of all,
	// have failed.
	ejectWindow = 10 * time.Second
	// firstEjection and longestEjection bound how long an instance is ejected: twice as
	// long each time, give or take a fifth. goodAgain after its return it starts over.
	firstEjection   = time.Second
	longestEjection = 30 * time.Second
	goodAgain       = 30 * time.Second
	// unreachableFor is how long one that could not be reached is ejected at least. Who
	// can connect without a request says when it is back: Endpoint.Reachable.
	unreachableFor = 10 * time.Second
	// probeTime is how long a single request that tries an instance keeps others
	// from it, if it does not end.
	probeTime = time.Second
	// leastStall is the silence, with requests waiting, from which an instance is
	// suspected to hang; stallFactor the same in its usual times to the first byte.
	leastStall  = 100 * time.Millisecond
	stallFactor = 10
	// usualShare is the say of one request in an endpoint's usual time.
	usualShare = 1.0 / 16
	// maxStrikes ends the doubling.
	maxStrikes = 6
)

// begin notes that a request waits for its first byte from now on.
func (e *Endpoint) begin(now int64) {
	if e.waiting.Add(1) == 1 {
		e.heard.Store(now)
	}
}

// Heard notes that a request that waited, for as long as took, has its first byte. Took
// is 0 for what is no measure of the usual time: a quick failure.
func (e *Endpoint) Heard(took time.Duration, now int64) {
	e.heard.Store(now)
	e.waiting.Add(-1)
	if took <= 0 {
		return
	}
	// One of two that end together may go unheard, as with Observe.
	sample, old := float64(took), math.Float64frombits(e.usual.Load())
	if old > 0 {
		sample = old + (sample-old)*usualShare
	}
	e.usual.Store(math.Float64bits(sample))
}

// Unheard notes that a request waits no more, and got nothing.
func (e *Endpoint) Unheard() { e.waiting.Add(-1) }

// Usual returns the usual time to the first byte of an answer, 0 if none came yet.
func (e *Endpoint) Usual() time.Duration {
	return time.Duration(math.Float64frombits(e.usual.Load()))
}

// stalled reports whether several requests wait and nothing has come for so long that
// the instance may hang. It says so before any of them has timed out, and takes it back
// with the next byte. Who is slow as usual does not stall.
func (e *Endpoint) stalled(now int64) bool {
	if e.waiting.Load() < hungAfter {
		return false
	}
	return float64(now-e.heard.Load()) > e.stallLimit()
}

// Ejected reports whether picks at a time pass over the endpoint: it is ejected, or
// seems to hang.
func (e *Endpoint) Ejected(now int64) bool { return e.until.Load() > now || e.stalled(now) }

// silent reports whether a request that took so long is a sign that the instance
// hangs: nothing came while it waited, for longer than is usual.
func (e *Endpoint) silent(took time.Duration, now int64) bool {
	return float64(took) > e.stallLimit() && e.heard.Load() <= now-int64(took)
}

// stallLimit is the silence from which an instance is suspected, in ns.
func (e *Endpoint) stallLimit() float64 {
	return max(float64(leastStall), stallFactor*math.Float64frombits(e.usual.Load()))
}

// admits reports whether the endpoint may get a request. When the time of an
// ejection is over a single one tries it: whoever asks first gets it, and the
// others wait for what comes of it.
func (e *Endpoint) admits(now int64) bool {
	until := e.until.Load()
	if until == 0 {
		return !e.stalled(now) || e.triesStalled(now)
	}
	return until <= now && e.until.CompareAndSwap(until, now+int64(probeTime))
}

// triesStalled lets a single request through to an endpoint that has stalled, each time
// its silence has become twice as long: it may only be that what waits there takes long,
// and nothing else is sent that could be answered.
func (e *Endpoint) triesStalled(now int64) bool {
	next := e.tryAt.Load()
	return next <= now && e.tryAt.CompareAndSwap(next, now+max(now-e.heard.Load(), int64(leastStall)))
}

// healthy skips who is ejected, and whom the caller skips.
type healthy struct {
	skip Skip
	now  int64
}

func (h *healthy) Skip(e *Endpoint) bool {
	return h.skip != nil && h.skip.Skip(e) || e.Ejected(h.now)
}

// detours is how often a pick looks for another endpoint than one that is ejected:
// of those that are to be tried again, others may be quicker.
const detours = 3

// around picks another member than i, which is ejected: one that is not. If there is
// none, i it is: it is better to ask an instance that failed than nobody.
func (s *subset) around(r *rotation, dec *Decision, p Pick, i int) int {
	given := dec.given
	if s.endpoints[i].until.Load() == 0 && s.mostStall(p.Now) {
		return i
	}
	p.Skip = &healthy{p.Skip, p.Now}
	for range detours {
		k := s.pick(r, dec, p)
		if k < 0 {
			break
		}
		if s.endpoints[k].admits(p.Now) {
			return k
		}
	}
	dec.given = given
	return i
}

// mostStall reports whether more than half of the members seem to hang: then it is no
// sign of anything.
func (s *subset) mostStall(now int64) bool {
	n := 0
	for _, e := range s.endpoints {
		if e.stalled(now) {
			n++
		}
	}
	return 2*n > len(s.endpoints)
}

// Judge tells an endpoint how a request ended at now that was decided so and took
// so long, and returns what that has changed. Requests that began before the last
// change say nothing any more.
//
// An instance that cannot be reached is ejected at once; one that fails, after a few
// failures in a row, if half of its requests fail, or if it hangs, as long as that
// leaves half of the candidates. When one returns while more than half are ejected, the
// others are tried at once.
func (d *Decision) Judge(e *Endpoint, v Verdict, took time.Duration, now int64) Change {
	switch {
	case v == Good && !e.tarnished.Load(), v == Nothing:
		return NoChange
	}
	c := d.judge(e, v, took, now)
	if c == Returned {
		d.rouse(now)
	}
	return c
}

func (d *Decision) judge(e *Endpoint, v Verdict, took time.Duration, now int64) Change {
	e.judging.Lock()
	defer e.judging.Unlock()
	began := now - int64(took)
	switch {
	case began < e.changed:
		return NoChange
	case v == Good:
		return e.good(now)
	}
	out := e.until.Load() != 0
	if out && began < e.due {
		return NoChange // it was sent for want of a better one, before the time to try again
	}
	d.subset.ejecting.Lock()
	defer d.subset.ejecting.Unlock()
	if !e.bad(v, took, now) || !out && v != Unreachable && !d.spares() {
		return NoChange
	}
	e.eject(v, now)
	return Ejected
}

// good notes a success; judging is locked.
func (e *Endpoint) good(now int64) Change {
	e.row = 0
	if e.until.Load() != 0 {
		e.until.Store(0)
		e.changed = now
		e.failures, e.successes = 0, 0
		return Returned
	}
	e.successes++
	if now-e.changed > int64(goodAgain) && now-e.window > int64(ejectWindow) {
		e.strikes, e.failures = 0, 0
		e.tarnished.Store(false)
	}
	return NoChange
}

// bad notes a failure and reports whether the endpoint is to be ejected; judging is
// locked.
func (e *Endpoint) bad(v Verdict, took time.Duration, now int64) bool {
	e.tarnished.Store(true)
	if e.failures == 0 || now-e.window > int64(ejectWindow) {
		e.window, e.failures, e.successes = now, 0, 0
	}
	e.failures++
	e.row++
	return v == Unreachable ||
		e.until.Load() != 0 || // it was tried again
		e.row >= ejectAfter ||
		e.failures >= ejectAfter && e.failures >= e.successes ||
		e.row >= hungAfter && e.silent(took, now)
}

// eject ejects the endpoint for a while; judging is locked.
func (e *Endpoint) eject(v Verdict, now int64) {
	d := min(longestEjection, firstEjection<<min(e.strikes, maxStrikes))
	if v == Unreachable {
		d = max(d, unreachableFor)
	}
	d = time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
	e.strikes++
	e.row, e.changed, e.due = 0, now, now+int64(d)
	e.until.Store(e.due)
}

// Reachable says that somebody listens at the endpoint's address again: a single request
// may try it.
func (e *Endpoint) Reachable(now int64) {
	e.judging.Lock()
	defer e.judging.Unlock()
	e.wake(now)
}

// wake lets a single request try the endpoint, if it is ejected; judging is locked.
func (e *Endpoint) wake(now int64) {
	if e.until.Load() != 0 && e.due > now {
		e.due = now
		e.until.Store(now)
	}
}

// rouse makes all that are ejected be tried at once, if more than half were when one has
// returned: what has ended for it may have ended for all, and it must not stay alone
// with their load.
func (d *Decision) rouse(now int64) {
	out := 1 // that one
	for _, e := range d.subset.endpoints {
		if e.until.Load() != 0 {
			out++
		}
	}
	if 2*out <= len(d.subset.endpoints) {
		return
	}
	for _, e := range d.subset.endpoints {
		e.judging.Lock()
		e.wake(now)
		e.judging.Unlock()
	}
}

// spares reports whether half of the candidates are left if one more is ejected; the
// subset's ejecting is locked.
func (d *Decision) spares() bool {
	out := 1
	for _, e := range d.subset.endpoints {
		if e.until.Load() != 0 {
			out++
		}
	}
	return 2*out <= max(len(d.subset.endpoints), 2)
}
