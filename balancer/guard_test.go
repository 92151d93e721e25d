package balancer

import (
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

const second = int64(time.Second)

// usual is a guard with the defaults of the rule language and a share of 20 %.
func usual() config.Guard {
	return config.Guard{Errors: 2000, Over: 30 * time.Second, Min: 50, Hold: 30 * time.Second}
}

func inARow(n int) config.Guard {
	return config.Guard{Errors: -1, Over: 30 * time.Second, Min: 50, Failures: n, Hold: 30 * time.Second}
}

// tell ends n requests at once at a time, and returns what the last has changed.
func tell(g *guard, n int, failed bool, now int64) Change {
	c := NoChange
	for range n {
		c = g.done(failed, now, now)
	}
	return c
}

// tripped returns a guard that one failure has tripped at a time.
func tripped(t *testing.T, now int64) *guard {
	t.Helper()
	g := newGuard(inARow(1))
	require.Equal(t, Ejected, g.done(true, now, now))
	return g
}

func TestAGuardTripsByShareOrRow(t *testing.T) {
	type step struct {
		n      int
		failed bool
		at     int64 // seconds
	}
	var (
		share = func(slots, least int) config.Guard {
			return config.Guard{Errors: slots, Min: least, Over: 10 * time.Second, Hold: time.Second}
		}
		steps = func(s ...step) []step { return s }
	)
	for name, c := range map[string]struct {
		guard config.Guard
		steps []step
		want  Change // of the last step
	}{
		"above the share":                   {share(2000, 50), steps(step{39, false, 1}, step{11, true, 1}), Ejected},
		"at the share":                      {share(2000, 50), steps(step{40, false, 1}, step{10, true, 1}), NoChange},
		"too few":                           {share(2000, 50), steps(step{49, true, 1}), NoChange},
		"just enough":                       {share(2000, 50), steps(step{50, true, 1}), Ejected},
		"a success does not trip":           {share(2000, 50), steps(step{49, true, 1}, step{1, false, 1}), NoChange},
		"the failure after it does":         {share(2000, 50), steps(step{49, true, 1}, step{1, false, 1}, step{1, true, 1}), Ejected},
		"no failure allowed":                {share(0, 0), steps(step{1, true, 1}), Ejected},
		"no failure allowed, min":           {share(0, 3), steps(step{2, false, 1}, step{1, true, 1}), Ejected},
		"every failure allowed":             {share(10_000, 0), steps(step{1000, true, 1}), NoChange},
		"0.01 %, at it":                     {share(1, 0), steps(step{9999, false, 1}, step{1, true, 1}), NoChange},
		"0.01 %, above it":                  {share(1, 0), steps(step{9998, false, 1}, step{1, true, 1}), Ejected},
		"in the window":                     {share(2000, 50), steps(step{49, true, 1}, step{1, true, 11}), Ejected},
		"a slice older than it":             {share(2000, 50), steps(step{49, true, 1}, step{1, true, 12}), NoChange},
		"windows later, in the same slice":  {share(2000, 50), steps(step{49, true, 1}, step{1, true, 45}), NoChange},
		"old successes do not count either": {share(2000, 5), steps(step{1000, false, 1}, step{5, true, 12}), Ejected},

		"in a row":                 {inARow(5), steps(step{5, true, 1}), Ejected},
		"one less":                 {inARow(5), steps(step{4, true, 1}), NoChange},
		"a success between":        {inARow(5), steps(step{4, true, 1}, step{1, false, 1}, step{4, true, 1}), NoChange},
		"in a row, hours apart":    {inARow(2), steps(step{1, true, 1}, step{1, true, 9000}), Ejected},
		"the share does not count": {inARow(60), steps(step{59, true, 1}), NoChange},
		"neither":                  {inARow(0), steps(step{1000, true, 1}), NoChange},
		"the row before the share": {
			config.Guard{Errors: 2000, Min: 50, Over: time.Second, Failures: 3, Hold: time.Second},
			steps(step{1000, false, 1}, step{3, true, 1}), Ejected,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(c.guard)
			for i, s := range c.steps {
				last := i == len(c.steps)-1
				if last {
					require.Equal(t, NoChange, tell(g, s.n-1, s.failed, s.at*second), "too early")
				}
				require.True(t, g.admits(s.at*second))
				got := tell(g, map[bool]int{true: 1, false: s.n}[last], s.failed, s.at*second)
				if last {
					assert.Equal(t, c.want, got)
					assert.Equal(t, c.want == NoChange, g.admits(s.at*second+1))
					assert.Equal(t, c.want == Ejected, g.withdrawn(s.at*second+1))
				}
			}
		})
	}
}

func TestATargetThatTrippedIsTriedOneByOneAfterTheHold(t *testing.T) {
	g := tripped(t, second)
	end := 31 * second
	assert.False(t, g.admits(end-1))
	assert.True(t, g.withdrawn(end-1))
	for i := range int64(trialsToReturn) {
		now := end + i*second
		assert.False(t, g.withdrawn(now), "a trial is due")
		require.True(t, g.admits(now), "trial %d", i)
		assert.True(t, g.withdrawn(now))
		assert.False(t, g.admits(now), "one at a time")
		want := NoChange
		if i == trialsToReturn-1 {
			want = Returned
		}
		assert.Equal(t, want, g.done(false, now, now+second/2))
	}
	for range 3 {
		assert.True(t, g.admits(end+9*second))
	}
}

func TestATrialThatFailsTripsAtOnce(t *testing.T) {
	for good := range trialsToReturn {
		g := tripped(t, second)
		now := 40 * second
		for range good {
			require.True(t, g.admits(now))
			require.Equal(t, NoChange, g.done(false, now, now+1))
			now += second
		}
		require.True(t, g.admits(now))
		require.Equal(t, Ejected, g.done(true, now, now+1))
		assert.False(t, g.admits(now+1+2*30*second-1), "twice as long")
		now += 1 + 2*30*second
		for i := range trialsToReturn {
			require.True(t, g.admits(now), "the successes before do not count: trial %d", i)
			require.False(t, g.admits(now))
			g.done(false, now, now)
		}
		assert.True(t, g.admits(now))
		assert.True(t, g.admits(now))
	}
}

func TestATrialThatNeverEndsGivesWay(t *testing.T) {
	g := tripped(t, second)
	first := 31 * second
	require.True(t, g.admits(first))
	other := first + int64(trialTime)
	assert.False(t, g.admits(other-1))
	require.True(t, g.admits(other))
	assert.Equal(t, NoChange, g.done(false, first, other+1), "it ends after all, and counts")
	assert.False(t, g.admits(other+2), "it does not end the trial of another")
	assert.Equal(t, NoChange, g.done(false, other, other+3))
	require.True(t, g.admits(other+4))
	assert.Equal(t, Returned, g.done(false, other+4, other+5))
}

func TestOthersSayNothingBeforeTheTargetIsTried(t *testing.T) {
	for _, failed := range []bool{true, false} {
		g := tripped(t, second)
		end := 31 * second
		assert.Equal(t, NoChange, tell(g, 100, failed, 2*second), "while it is held")
		assert.Equal(t, NoChange, tell(g, 100, failed, end+second), "nobody has tried it")
		now := end + 2*second
		require.True(t, g.admits(now), "neither later nor earlier for it")
		assert.Equal(t, NoChange, g.done(failed, now-1, now+1), "began before the first trial")
		assert.False(t, g.admits(now+1))
		assert.Equal(t, NoChange, g.done(false, now, now+2))
		require.True(t, g.admits(now+3), "nothing has counted but the trial")
		assert.Equal(t, NoChange, g.done(false, now+3, now+4))
		assert.False(t, g.withdrawn(now+4))
	}
}

func TestOthersAreEvidenceOnceTheTargetIsTried(t *testing.T) {
	g := tripped(t, second)
	now := 40 * second
	require.True(t, g.admits(now))
	assert.Equal(t, NoChange, tell(g, trialsToReturn-1, false, now+1))
	assert.False(t, g.admits(now+1), "the trial goes on")
	assert.Equal(t, Returned, g.done(false, now+1, now+2))
	assert.Equal(t, NoChange, g.done(true, now, now+3), "the trial began before the return")
	assert.True(t, g.admits(now+3))

	g = tripped(t, second)
	require.True(t, g.admits(now))
	assert.Equal(t, Ejected, g.done(true, now+1, now+2))
	assert.Equal(t, NoChange, g.done(true, now, now+3), "the trial began before the trip")
	assert.False(t, g.admits(now+2+2*30*second-1))
	assert.True(t, g.admits(now+2+2*30*second))
}

func TestARequestFromBeforeAChangeSaysNothing(t *testing.T) {
	g := tripped(t, 10*second)
	now := 50 * second
	for range trialsToReturn {
		require.True(t, g.admits(now))
		g.done(false, now, now)
	}
	assert.Equal(t, NoChange, g.done(true, now-1, now+1), "it was sent when the target was withdrawn")
	assert.Equal(t, NoChange, g.done(true, 9*second, now+1), "or before")
	assert.Equal(t, Ejected, g.done(true, now+1, now+1))
}

func TestATargetReturnsWithNothingCounted(t *testing.T) {
	cfg := config.Guard{Errors: 2000, Min: 10, Over: 10 * time.Minute, Failures: 60, Hold: time.Second}
	g := newGuard(cfg)
	require.Equal(t, Ejected, tell(g, 10, true, second))
	now := 2 * second
	for range trialsToReturn {
		require.True(t, g.admits(now))
		g.done(false, now, now)
	}
	assert.Equal(t, NoChange, tell(g, 9, true, now), "the failures before are forgotten")
	assert.Equal(t, Ejected, g.done(true, now, now))
}

func TestTheHoldDoublesTenTimesAndStartsOver(t *testing.T) {
	const hold, over = 30 * second, 30 * second
	g := newGuard(inARow(1))
	now := second
	back := func() { // as soon as may be
		for range trialsToReturn {
			require.True(t, g.admits(now))
			g.done(false, now, now)
		}
	}
	trip := func(want int64, why string) {
		t.Helper()
		require.Equal(t, Ejected, g.done(true, now, now))
		assert.True(t, g.withdrawn(now+want-1), "%s: %d", why, want/hold)
		require.False(t, g.withdrawn(now+want), "%s: %d", why, want/hold)
		now += want
	}
	for i := range 14 {
		trip(hold<<min(i, guardDoublings), "back at once")
		back()
	}
	longest := hold << guardDoublings
	now += longest + over - 1
	trip(longest, "not good for long enough")
	back()
	now += longest + over
	trip(hold, "good for long")
	require.True(t, g.admits(now))
	trip(2*hold, "a failed trial")
	now += 1000 * (longest + over)
	require.True(t, g.admits(now))
	trip(4*hold, "nobody used it: that is not good")
}

// plainGuard is a guard as one would write it down: it remembers every request.
type plainGuard struct {
	cfg     config.Guard
	ended   []ended // in use, since the last return
	row     int
	state   string // "", "held", "tried"
	changed int64
	until   int64 // end of the hold
	trials  []int64
	busy    bool  // the last trial has not ended
	since   int64 // when it was first tried
	good    int
	holds   []time.Duration // since it was good for long
}

type ended struct {
	at     int64
	failed bool
}

func (p *plainGuard) admits(now int64) bool {
	switch {
	case p.state == "":
		return true
	case now < p.until, p.busy && now < p.trials[len(p.trials)-1]+int64(trialTime):
		return false
	}
	if p.state == "held" {
		p.state, p.since, p.good = "tried", now, 0
	}
	p.trials, p.busy = append(p.trials, now), true
	return true
}

func (p *plainGuard) done(failed bool, began, now int64) Change {
	switch {
	case began < p.changed, p.state == "held", p.state == "tried" && began < p.since:
		return NoChange
	case p.state == "tried" && failed:
		return p.trip(now)
	case p.state == "tried":
		p.good++
		if p.good == trialsToReturn {
			p.state, p.changed, p.busy = "", now, false
			p.ended, p.row = nil, 0
			return Returned
		}
		if began == p.trials[len(p.trials)-1] {
			p.busy = false
		}
		return NoChange
	}
	p.ended = append(p.ended, ended{now, failed})
	if !failed {
		p.row = 0
		return NoChange
	}
	p.row++
	if p.cfg.Failures > 0 && p.row >= p.cfg.Failures || p.cfg.Errors >= 0 && p.tooMany(now) {
		return p.trip(now)
	}
	return NoChange
}

// tooMany counts from the beginning of the part, a tenth, in which the window begins.
func (p *plainGuard) tooMany(now int64) bool {
	part := int64(p.cfg.Over) / 10
	from := (now - int64(p.cfg.Over)) / part * part
	all, failed := 0, 0
	for _, e := range p.ended {
		if e.at >= from {
			all++
			if e.failed {
				failed++
			}
		}
	}
	return all >= p.cfg.Min && float64(failed) > float64(all)*float64(p.cfg.Errors)/10_000
}

func (p *plainGuard) trip(now int64) Change {
	if n := len(p.holds); n > 0 && p.state == "" && now-p.changed >= int64(p.holds[n-1]+p.cfg.Over) {
		p.holds = nil
	}
	hold := p.cfg.Hold
	for range min(len(p.holds), 10) {
		hold *= 2
	}
	p.holds = append(p.holds, hold)
	p.state, p.changed, p.until, p.busy = "held", now, now+int64(hold), false
	return Ejected
}

// TestAGuardIsWhatItsPlainFormIs plays random scripts to both: requests by rules, which
// ask, and by lanes and strict rules, which do not; some never end; good and bad
// times; rushes and long silence.
func TestAGuardIsWhatItsPlainFormIs(t *testing.T) {
	base := rand.Int63()
	changes := map[Change]int{}
	for i := range int64(400) {
		seed := base + i
		if !playGuard(t, rand.New(rand.NewSource(seed)), changes) {
			t.Fatalf("seed %d", seed)
		}
	}
	assert.Greater(t, changes[Ejected], 1000, "base seed %d", base)
	assert.Greater(t, changes[Returned], 500, "base seed %d", base)
}

func randomGuard(r *rand.Rand) config.Guard {
	pick := func(of ...int) int { return of[r.Intn(len(of))] }
	return config.Guard{
		Errors: pick(-1, 0, 1000, 2000, 5000), Over: time.Duration(pick(1, 5, 30, 600)) * time.Second,
		Min: pick(0, 1, 5, 20), Failures: pick(0, 1, 3, 10), Hold: time.Duration(pick(1, 5, 60)) * time.Second,
	}
}

func playGuard(t *testing.T, r *rand.Rand, changes map[Change]int) bool {
	t.Helper()
	cfg := randomGuard(r)
	g, p := newGuard(cfg), &plainGuard{cfg: cfg}
	now, bad, pace := int64(1), 0.1, second/10
	var open []int64
	for step := range 1500 {
		if r.Intn(100) == 0 {
			bad = []float64{0, 0, 0.1, 0.5, 1}[r.Intn(5)]
			pace = []int64{1, second / 100, second / 2, 5 * second, int64(cfg.Hold), int64(cfg.Over)}[r.Intn(6)]
		}
		now += r.Int63n(pace + 1)
		switch r.Intn(8) {
		case 0: // by a strict rule
			open = append(open, now)
		case 1, 2, 3:
			want := p.admits(now)
			if !assert.Equal(t, want, g.admits(now), "%+v: step %d: admits", cfg, step) {
				return false
			}
			if want && r.Intn(20) > 0 {
				open = append(open, now)
			}
		default:
			if len(open) == 0 {
				continue
			}
			i := r.Intn(len(open))
			failed := r.Float64() < bad
			want := p.done(failed, open[i], now)
			changes[want]++
			if !assert.Equal(t, want, g.done(failed, open[i], now), "%+v: step %d: done", cfg, step) {
				return false
			}
			open = append(open[:i], open[i+1:]...)
		}
	}
	return true
}

// TestOneTrialAtATime lets many ask at once. Trials succeed, but for the last of each
// round, so that whoever is admitted is a trial.
func TestOneTrialAtATime(t *testing.T) {
	g := tripped(t, 1)
	var clock, busy, admitted, ejected atomic.Int64
	clock.Store(1)
	for range 50 {
		clock.Add(int64(365 * 24 * time.Hour))
		admitted.Store(0)
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for range 200 {
					now := clock.Add(1)
					g.done(true, 1, now) // long ago
					if !g.admits(now) {
						continue
					}
					assert.EqualValues(t, 1, busy.Add(1))
					n := admitted.Add(1)
					busy.Add(-1)
					if g.done(n == trialsToReturn, now, clock.Add(1)) == Ejected {
						ejected.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.EqualValues(t, trialsToReturn, admitted.Load())
	}
	assert.EqualValues(t, 50, ejected.Load())
}

// TestManyUseAGuardAtOnce: none of their successes is lost, however the slices change,
// and of the failures that are too many exactly one trips.
func TestManyUseAGuardAtOnce(t *testing.T) {
	const each, workers = 4000, 8
	g := newGuard(config.Guard{Errors: 5000, Over: 10 * time.Second, Min: 1, Failures: 1 << 30, Hold: time.Second})
	var clock, trips atomic.Int64
	clock.Store(second)
	together := func(do func()) {
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for range each {
					do()
				}
			})
		}
		all.Wait()
	}
	together(func() {
		now := clock.Add(second / 8000) // 4 slices in all
		assert.True(t, g.admits(now))
		assert.Equal(t, NoChange, g.done(false, now, now))
	})
	now := clock.Load()
	assert.Equal(t, NoChange, tell(g, each*workers, true, now), "half of all")
	together(func() {
		if g.done(true, now, now) == Ejected {
			trips.Add(1)
		}
	})
	assert.EqualValues(t, 1, trips.Load())
	assert.True(t, g.withdrawn(now))
}

// atOnce lets two do something at the same time, round by round, as closely as spinning
// brings them together.
func atOnce(rounds int64, do func(round int64)) {
	var there atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for round := range rounds {
				there.Add(1)
				for there.Load() < 2*(round+1) {
					runtime.Gosched()
				}
				do(round)
			}
		})
	}
	all.Wait()
}

// TestNoSuccessIsLostWhenASliceBegins: of those who find it old at the same time only
// one empties it.
func TestNoSuccessIsLostWhenASliceBegins(t *testing.T) {
	const rounds = 20_000
	guards := make([]*guard, rounds)
	for i := range guards {
		guards[i] = newGuard(usual())
	}
	now := 5 * guards[0].width
	atOnce(rounds, func(round int64) { guards[round].done(false, now, now) })
	for i, g := range guards {
		require.EqualValues(t, 2, g.window[5].counts.Load(), "round %d", i)
	}
}

// TestOneOfTheFailuresThatEndTogetherTrips: the other finds the target held.
func TestOneOfTheFailuresThatEndTogetherTrips(t *testing.T) {
	const rounds = 20_000
	guards := make([]*guard, rounds)
	for i := range guards {
		guards[i] = newGuard(inARow(1))
	}
	var trips atomic.Int64
	atOnce(rounds, func(round int64) {
		if guards[round].done(true, second, second) == Ejected {
			trips.Add(1)
		}
	})
	assert.EqualValues(t, rounds, trips.Load())
}

func TestAHealthyTargetNeedsNoLock(t *testing.T) {
	g := newGuard(usual())
	g.done(false, second, second) // the slice is there
	g.mu.Lock()
	defer g.mu.Unlock()
	var admitted atomic.Bool
	go func() {
		admitted.Store(g.admits(second) && g.done(false, second, second) == NoChange)
	}()
	require.Eventually(t, admitted.Load, 10*time.Second, time.Millisecond)
}

func TestAGuardDoesNotAllocate(t *testing.T) {
	g := newGuard(config.Guard{Errors: 2000, Over: time.Second, Min: 5, Failures: 3, Hold: time.Second})
	now, r := second, rand.New(rand.NewSource(1))
	assert.Zero(t, testing.AllocsPerRun(5000, func() {
		now += second / 20
		if g.admits(now) {
			g.done(r.Intn(3) == 0, now, now)
		}
	}))
}

// failing is what a simulation of a target that fails for a while has shown.
type failing struct {
	until         time.Duration // it was withdrawn first, after the first failure
	back          time.Duration // it was in use again, after the last
	trips, failed int
}

// simulate sends 80 requests/s to a target that is good for some time, then fails half
// of its requests, by chance, for some time, then is good again.
func simulate(t *testing.T, cfg config.Guard, seed int64, good, bad time.Duration) (s failing) {
	t.Helper()
	g, r := newGuard(cfg), rand.New(rand.NewSource(seed))
	start := second + int64(good)
	healed := start + int64(bad)
	out := false
	for now := second; now < healed || out; now += second / 80 {
		require.Less(t, now, healed+int64(time.Hour), "it never returns")
		if !g.admits(now) {
			continue
		}
		fails := now >= start && now < healed && r.Intn(2) == 0
		if fails {
			s.failed++
		}
		switch g.done(fails, now, now) {
		case Ejected:
			s.trips++
			if s.trips == 1 {
				s.until = time.Duration(now - start)
			}
			out = true
		case Returned:
			out, s.back = false, time.Duration(now-healed)
		case NoChange:
		}
	}
	return s
}

func TestHowLongAFailingTargetStaysInUse(t *testing.T) {
	quick := usual()
	quick.Over, quick.Min = 5*time.Second, 20
	for _, c := range []struct {
		name   string
		cfg    config.Guard
		good   time.Duration
		within time.Duration
	}{
		{"errors: 20%, in use for a minute", usual(), time.Minute, 15 * time.Second},
		{"errors: 20%, new", usual(), 0, time.Second},
		{"errors: 20%, over: 5s, min: 20, in use for a minute", quick, time.Minute, 3500 * time.Millisecond},
		{"errors: 20%, over: 5s, min: 20, new", quick, 0, time.Second},
	} {
		const runs = 4
		var sum, most failing
		for seed := range int64(runs) {
			s := simulate(t, c.cfg, seed, c.good, 2*time.Minute)
			sum = failing{sum.until + s.until, sum.back + s.back, sum.trips + s.trips, sum.failed + s.failed}
			most = failing{max(most.until, s.until), max(most.back, s.back), max(most.trips, s.trips), max(most.failed, s.failed)}
		}
		t.Logf("%s, then half fail for 2m: withdrawn after %v, at most %v; back after %v, at most %v; %.1f trips, at most %d; %.1f failed, at most %d",
			c.name, sum.until/runs, most.until, sum.back/runs, most.back,
			float64(sum.trips)/runs, most.trips, float64(sum.failed)/runs, most.failed)
		assert.LessOrEqual(t, most.until, c.within, c.name)
	}
}

func BenchmarkGuard(b *testing.B) {
	g := newGuard(usual())
	start := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := second + int64(time.Since(start))
		for pb.Next() {
			now += 100
			if !g.admits(now) {
				b.Error("withdrawn")
			}
			g.done(false, now, now)
		}
	})
}
