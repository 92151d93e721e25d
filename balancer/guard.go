package balancer

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/config"
)

const (
	// guardSlices is how many parts the window of a guard is counted in. One more, the
	// oldest, is on its way out: what ended within the window counts, and nothing that
	// is older by more than a part.
	guardSlices = 10
	// guardDoublings ends the doubling of the hold: 1,024 times that of the document.
	guardDoublings = 10
	// trialTime is how long a request that tries a withdrawn target keeps others from
	// it, if nothing is heard of its end: its caller left, say.
	trialTime = 5 * time.Second
	// trialsToReturn is how many requests must succeed, with no failure between them,
	// before a withdrawn target is back. After one, a target that fails every other
	// request would return from every other hold; after three from every eighth.
	trialsToReturn = 3
)

// guard withdraws one target, not the default, that fails: section 3a of the rule
// language, by what one process sees. Times are ns on a monotonic clock, above 0.
//
// A target is in use, held, or tried. It is held from a trip to the end of the hold
// and on until a rule sends a first request to it; then it is tried, by one request at
// a time. Lanes and strict rules use it all along. What they meet while it is held
// says nothing: it neither trips the guard again nor makes the hold longer or shorter.
// Once it is tried, every request that began since the first trial is evidence,
// whoever sent it: a failure trips the guard again at once, trialsToReturn successes
// bring the target back. Requests that began before a change say nothing after it.
type guard struct {
	errors, min uint64 // errors in slots
	failures    int64  // in a row; 0: they do not matter
	byErrors    bool
	width       int64 // ns in a slice of the window
	over, hold  int64 // ns

	next    atomic.Int64 // 0: in use; else when the next trial may begin
	changed atomic.Int64 // when it was withdrawn or returned
	_       [64]byte     // what is above is read by every request, and hardly written

	window [guardSlices + 1]slice
	_      [64]byte

	row     atomic.Int64 // failures in a row
	mu      sync.Mutex   // guards what follows, the emptying of slices, and every change; nothing is called under it
	since   int64        // when the first trial began; 0: it is not tried
	trial   int64        // when the last one began
	good    int          // successes since the first
	strikes int          // trips since it was good for long
	held    int64        // the last hold, in ns
}

// slice counts the requests that ended in one part of the window.
type slice struct {
	part   atomic.Int64  // now / guard.width
	counts atomic.Uint64 // those that failed, times oneFailed, and those that succeeded
}

const (
	oneGood   = 1
	oneFailed = 1 << 32
)

func newGuard(cfg config.Guard) *guard {
	return &guard{
		errors: uint64(max(cfg.Errors, 0)), byErrors: cfg.Errors >= 0,
		min:      uint64(max(cfg.Min, 0)),
		failures: int64(cfg.Failures),
		width:    max(int64(cfg.Over)/guardSlices, 1),
		over:     int64(cfg.Over), hold: int64(cfg.Hold),
	}
}

// guards gives each target but the default its guard: that of the previous director,
// with all that it has counted, if the document says the same.
func (b *builder) guards() {
	if b.d.rules == nil || b.d.rules.Guard == nil {
		return
	}
	b.d.guards = map[string]*guard{}
	same := b.prev != nil && b.prev.guards != nil && *b.prev.rules.Guard == *b.d.rules.Guard
	add := func(name string) {
		if name == b.d.standard.name || b.d.guards[name] != nil {
			return
		}
		if same && b.prev.guards[name] != nil {
			b.d.guards[name] = b.prev.guards[name]
			return
		}
		b.d.guards[name] = newGuard(*b.d.rules.Guard)
	}
	if same {
		// One that is withdrawn stays so though all of its instances are gone, or not
		// healthy, for a moment.
		for name, g := range b.prev.guards {
			if g.next.Load() != 0 && b.d.knows(name) {
				add(name)
			}
		}
	}
	for name := range b.d.targets {
		add(name)
	}
	for i := range b.d.matcher.rules {
		for _, arm := range b.d.matcher.rules[i].To {
			add(arm.Target)
		}
	}
}

// admits reports whether a request may use the target. When the hold is over a single
// one may try it: whoever asks first, and after it has ended, or after trialTime, the
// next. A request that was admitted says how it ended by done, with the now of admits
// as its beginning: by that a trial is known to have ended.
func (g *guard) admits(now int64) bool {
	next := g.next.Load()
	return next == 0 || next <= now && g.try(now)
}

// withdrawn reports whether admits would say no, but tries nothing. As with an endpoint
// that is ejected, it is not withdrawn any more when a trial is due.
func (g *guard) withdrawn(now int64) bool { return g.next.Load() > now }

// try lets one of those that ask try the target.
func (g *guard) try(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch next := g.next.Load(); {
	case next == 0:
		return true
	case next > now:
		return false
	}
	if g.since == 0 {
		g.since = now
	}
	g.trial = now
	g.next.Store(now + int64(trialTime))
	return true
}

// forgo says that the trial that was admitted at a time was not made.
func (g *guard) forgo(at int64) {
	if g.next.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.trial == at && g.next.Load() == at+int64(trialTime) {
		g.next.Store(at)
	}
}

// done tells how a request to the target ended, and returns what that has changed:
// Ejected for each trip, a failed trial's too; Returned when it is in use again. A
// request whose end says nothing about the target, as of a caller who left, is not told.
//
// Only a failure trips: it does if it makes the share of the failed too high, or the
// row of them too long, and a success that completes `min` leaves that to the next
// failure. So a success costs no more than its count.
func (g *guard) done(failed bool, began, now int64) Change {
	if began < g.changed.Load() {
		return NoChange
	}
	if !failed && g.next.Load() == 0 {
		g.succeeded(now)
		return NoChange
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case began < g.changed.Load(): // others were quicker
		return NoChange
	case g.next.Load() != 0:
		return g.tried(failed, began, now)
	case !failed:
		g.row.Store(0)
		g.current(now).counts.Add(oneGood)
		return NoChange
	}
	g.row.Add(1)
	g.current(now).counts.Add(oneFailed)
	if !g.trips(now) {
		return NoChange
	}
	return g.trip(now)
}

// succeeded counts a success of a target in use, without the lock. One that is overtaken
// by a trip and the return after it, or by a whole window, while it is here, is
// counted where it does not belong: a success too many.
func (g *guard) succeeded(now int64) {
	if g.failures > 0 && g.row.Load() != 0 {
		g.row.Store(0)
	}
	part := now / g.width
	s := &g.window[part%int64(len(g.window))]
	if s.part.Load() < part {
		g.mu.Lock()
		s = g.current(now)
		g.mu.Unlock()
	}
	s.counts.Add(oneGood)
}

// current returns the slice of now, and empties it if it held an older part; locked.
// Who sees the new part adds to the new counts, since they are set first.
func (g *guard) current(now int64) *slice {
	part := now / g.width
	s := &g.window[part%int64(len(g.window))]
	if s.part.Load() < part {
		s.counts.Store(0)
		s.part.Store(part)
	}
	return s
}

// trips reports whether the failures of a target in use are too many; locked.
func (g *guard) trips(now int64) bool {
	if g.failures > 0 && g.row.Load() >= g.failures {
		return true
	}
	if !g.byErrors {
		return false
	}
	var good, failed uint64
	for i := range g.window {
		s := &g.window[i]
		if now/g.width-s.part.Load() <= guardSlices {
			n := s.counts.Load()
			good, failed = good+n%oneFailed, failed+n/oneFailed
		}
	}
	all := good + failed
	return all >= g.min && failed*config.Slots > g.errors*all
}

// tried notes how a request ended while the target is withdrawn; locked.
func (g *guard) tried(failed bool, began, now int64) Change {
	switch {
	case g.since == 0 || began < g.since:
		return NoChange
	case failed:
		return g.trip(now)
	}
	g.good++
	if g.good >= trialsToReturn {
		return g.restore(now)
	}
	if began == g.trial {
		g.next.Store(now)
	}
	return NoChange
}

// trip withdraws the target, for twice as long as the last time, unless it was good
// since for as long as it was held then and a window more; locked.
func (g *guard) trip(now int64) Change {
	if g.next.Load() == 0 && now-g.changed.Load() >= g.held+g.over {
		g.strikes = 0
	}
	g.held = g.hold << min(g.strikes, guardDoublings)
	g.strikes++
	g.since, g.good = 0, 0
	g.changed.Store(now)
	g.next.Store(now + g.held)
	return Ejected
}

// restore takes the target in use again, with nothing counted; locked.
func (g *guard) restore(now int64) Change {
	for i := range g.window {
		g.window[i].counts.Store(0)
	}
	g.row.Store(0)
	g.changed.Store(now)
	g.next.Store(0)
	return Returned
}
