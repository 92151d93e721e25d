package balancer

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// ward is a director over instances of v1, one of v2 that nobody asks for, and a clock.
type ward struct {
	*Director
	tb       testing.TB
	now      int64
	decision Decision
}

func newWard(tb testing.TB, policy config.Policy, weights ...float64) *ward {
	tb.Helper()
	list := []registry.Instance{instance("10.0.9.9:1", 5, "version", "v2")}
	for i, weight := range weights {
		list = append(list, instance(fmt.Sprintf("10.0.0.%d:1", i+101), weight, "version", "v1"))
	}
	w := &ward{tb: tb, now: 1, Director: Build(nil, nil, snapshot(list...), Options{DefaultVersion: "v1", Policy: policy}, nil)}
	w.decision = w.decide("")
	require.Len(tb, candidates(w.decision), len(weights))
	return w
}

// equals is n weights of 1.
func equals(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

func (w *ward) decide(key string) Decision {
	w.tb.Helper()
	d, err := w.Decide(request{})
	require.NoError(w.tb, err)
	d.HashBy(key)
	return d
}

// of returns the endpoint of v1's instance i.
func (w *ward) of(i int) *Endpoint { return w.decision.subset.endpoints[i] }

func (w *ward) pass(d time.Duration) { w.now += int64(d) }

// pick picks and sends nothing.
func (w *ward) pick() *Endpoint {
	d := w.decision
	_, e := w.Pick(&d, Pick{Now: w.now})
	return e
}

// tell ends n requests to e that began just now.
func (w *ward) tell(e *Endpoint, v Verdict, n int) (last Change) {
	for range n {
		last = w.decision.Judge(e, v, 0, w.now)
	}
	return last
}

// shares picks n times and returns how often each was picked.
func (w *ward) shares(n int) map[*Endpoint]int {
	got := map[*Endpoint]int{}
	for range n {
		got[w.pick()]++
	}
	return got
}

// out returns how many of v1 are ejected.
func (w *ward) out() (n int) {
	for e := range w.decision.Candidates() {
		if e.until.Load() != 0 {
			n++
		}
	}
	return n
}

func TestWhatEjects(t *testing.T) {
	type step struct {
		n    int
		v    Verdict
		wait time.Duration // after each
	}
	for name, c := range map[string]struct {
		steps  []step
		rounds int
		want   bool
	}{
		"nothing":                          {[]step{{1000, Good, 0}}, 1, false},
		"application errors":               {[]step{{1000, Good, time.Millisecond}}, 10, false},
		"callers that leave":               {[]step{{1000, Nothing, 0}}, 1, false},
		"unreachable":                      {[]step{{1, Unreachable, 0}}, 1, true},
		"unreachable among successes":      {[]step{{1000, Good, 0}, {1, Unreachable, 0}}, 1, true},
		"four failures":                    {[]step{{4, Bad, 0}}, 1, false},
		"five failures":                    {[]step{{5, Bad, 0}}, 1, true},
		"five in a row after many":         {[]step{{1000, Good, 0}, {4, Bad, 0}, {1000, Good, 0}, {5, Bad, 0}}, 1, true},
		"five in a row, far apart":         {[]step{{5, Bad, time.Hour}}, 1, true},
		"callers leave in between":         {[]step{{1, Bad, 0}, {1, Nothing, 0}}, 5, true},
		"half":                             {[]step{{1, Bad, 0}, {1, Good, 0}}, 5, true},
		"half of four failures":            {[]step{{1, Bad, 0}, {1, Good, 0}}, 4, false},
		"a third":                          {[]step{{1, Bad, 0}, {2, Good, 0}}, 1000, false},
		"half, but in no window":           {[]step{{1, Bad, 3 * time.Second}, {1, Good, 0}}, 1000, false},
		"half, within a window":            {[]step{{1, Bad, 2 * time.Second}, {1, Good, 0}}, 5, true},
		"a window begins with its failure": {[]step{{1, Bad, 0}, {1, Good, ejectWindow + 1}, {4, Bad, 0}, {4, Good, 0}, {1, Bad, 0}}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, last := newWard(t, config.Weighted, equals(4)...), NoChange
			e := w.of(0)
			for i := range c.rounds * len(c.steps) {
				s := c.steps[i%len(c.steps)]
				for range s.n {
					require.False(t, e.Ejected(w.now), "too early")
					last = w.tell(e, s.v, 1)
					if last == NoChange {
						w.pass(s.wait)
					}
				}
				if last != NoChange {
					break
				}
			}
			assert.Equal(t, c.want, last == Ejected)
			assert.Equal(t, c.want, e.Ejected(w.now))
			assert.Equal(t, c.want, w.shares(1000)[e] == 0)
			assert.Equal(t, 0, w.shares(1000)[nil])
		})
	}
}

func TestTwoThatHeardNothingEject(t *testing.T) {
	const took = 500 * time.Millisecond
	for name, c := range map[string]struct {
		usual, took time.Duration
		heard       time.Duration // before the end: another request's answer; 0: none
		want        bool
	}{
		"it hangs":         {time.Millisecond, took, 0, true},
		"it is unknown":    {0, took, 0, true},
		"quick failures":   {time.Millisecond, 50 * time.Millisecond, 0, false},
		"slow as usual":    {60 * time.Millisecond, took, 0, false},
		"others are heard": {time.Millisecond, took, 100 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, config.Weighted, equals(4)...)
			e := w.of(0)
			w.pass(time.Hour)
			e.begin(w.now)
			e.Heard(c.usual, w.now)
			w.pass(time.Second)
			for range 3 {
				w.decision.Begin(e, w.now)
			}
			w.pass(c.took - c.heard)
			if c.heard > 0 {
				e.Heard(0, w.now)
			}
			w.pass(c.heard)
			assert.Equal(t, NoChange, w.decision.Judge(e, Bad, c.took, w.now), "one is not enough")
			assert.Equal(t, c.want, w.decision.Judge(e, Bad, c.took, w.now) == Ejected)
		})
	}
}

func TestHalfOfTheCandidatesStay(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 10} {
		for _, v := range []Verdict{Bad, Unreachable} {
			w := newWard(t, config.Weighted, equals(n)...)
			for e := range w.decision.Candidates() {
				w.tell(e, v, 20)
			}
			want := max(n/2, 1)
			if v == Unreachable {
				want = n // what is not there is no candidate
			}
			assert.Equal(t, want, w.out(), "%d of %d, verdict %d", w.out(), n, v)
			got := w.shares(1000)
			assert.Zero(t, got[nil])
			for e := range got {
				assert.Contains(t, candidates(w.decision), e.Addr(), "never another version")
			}
			if v == Bad && n > 1 {
				assert.Len(t, got, n-want, "those that are left get all of it")
			} else {
				assert.Len(t, got, n, "it is better to ask one that failed than nobody")
			}
		}
	}
}

func TestHalfStayThoughManyJudgeAtOnce(t *testing.T) {
	for range 3000 {
		w := newWard(t, config.Weighted, equals(2)...)
		var ready atomic.Int64
		var done sync.WaitGroup
		for e := range w.decision.Candidates() {
			w.tell(e, Bad, ejectAfter-1)
			done.Go(func() {
				for ready.Add(1); ready.Load() < 2; {
					runtime.Gosched()
				}
				w.tell(e, Bad, 1)
			})
		}
		done.Wait()
		require.Equal(t, 1, w.out())
	}
}

func TestASilentEndpointIsPassedOver(t *testing.T) {
	for _, usual := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
		w := newWard(t, config.Weighted, equals(4)...)
		e := w.of(0)
		if usual > 0 {
			e.begin(w.now)
			e.Heard(usual, w.now)
			assert.Equal(t, usual, e.Usual())
		}
		w.pass(time.Minute) // idle: that is no silence
		assert.False(t, e.Ejected(w.now))
		for range 4 {
			w.decision.Begin(e, w.now)
		}
		limit := max(100*time.Millisecond, 10*usual)
		w.pass(limit)
		assert.False(t, e.Ejected(w.now), "usual: %s", usual)
		assert.InDelta(t, 250, w.shares(1000)[e], 2)
		w.pass(1)
		assert.True(t, e.Ejected(w.now), "usual: %s", usual)
		assert.Equal(t, 1, w.shares(1000)[e], "a single one tries it")
		w.pass(limit - 2)
		assert.Zero(t, w.shares(1000)[e])
		w.pass(3)
		assert.Equal(t, 1, w.shares(1000)[e], "and again when the silence is twice as long")
		assert.Zero(t, w.out(), "it is only suspected")

		e.Heard(0, w.now) // a byte
		assert.False(t, e.Ejected(w.now))
		assert.InDelta(t, 250, w.shares(1000)[e], 2)
		w.pass(limit + 1)
		assert.True(t, e.Ejected(w.now))
		e.Unheard() // a caller leaves: that is no sign
		assert.True(t, e.Ejected(w.now))
		e.Unheard()
		assert.False(t, e.Ejected(w.now), "one that waits may just take long")
		e.Unheard()
		assert.Zero(t, e.waiting.Load())
		w.decision.Begin(e, 0) // a stream, of which nothing is expected
		w.pass(time.Hour)
		assert.False(t, e.Ejected(w.now))
	}
}

func TestWhenAllAreSilentPicksGoOn(t *testing.T) {
	for _, policy := range []config.Policy{config.Weighted, config.Least, config.Hash} {
		for _, n := range []int{1, 2, 3, 7} {
			w := newWard(t, policy, equals(n)...)
			for i := range n {
				if i%2 == 0 {
					w.tell(w.of(i), Unreachable, 1)
				} else {
					w.decision.Begin(w.of(i), w.now)
					w.decision.Begin(w.of(i), w.now)
				}
			}
			w.pass(200 * time.Millisecond)
			got := map[*Endpoint]int{}
			for i := range 1000 {
				d := w.decide(fmt.Sprint("key", i))
				k, e := w.Pick(&d, Pick{Now: w.now})
				require.NotNil(t, e)
				require.Same(t, w.Endpoint(k), e)
				require.Equal(t, "v1", w.Snapshot().At(k).Version(), "panic, but inside the candidates")
				if policy == config.Hash {
					require.Same(t, e, d.subset.endpoints[d.given-1], "the ring counts who got it")
				}
				got[e]++
			}
			if policy != config.Least { // that goes by the load
				assert.Len(t, got, n, "policy %d: %v", policy, got)
			}
		}
	}
}

func TestEjectionsGrowAndStartOver(t *testing.T) {
	w := newWard(t, config.Weighted, equals(2)...)
	e := w.of(0)
	length := func(want time.Duration, msg string) {
		t.Helper()
		d := time.Duration(e.until.Load() - w.now)
		require.GreaterOrEqual(t, d, want*8/10-1, msg)
		require.LessOrEqual(t, d, want*12/10+1, msg)
	}
	var all []time.Duration
	growing := func() {
		t.Helper()
		require.Equal(t, Ejected, w.tell(e, Bad, ejectAfter))
		for _, seconds := range []int64{1, 2, 4, 8, 16, 30, 30, 30, 30} {
			length(time.Duration(seconds*second), "")
			all = append(all, time.Duration((e.until.Load()-w.now)/seconds))
			w.now = e.until.Load()
			require.True(t, e.admits(w.now))
			w.pass(time.Millisecond)
			require.Equal(t, Ejected, w.tell(e, Bad, 1), "the one that tries it fails")
		}
	}
	back := func() {
		t.Helper()
		w.now = e.until.Load()
		require.True(t, e.admits(w.now))
		require.Equal(t, Returned, w.tell(e, Good, 1))
		require.Equal(t, NoChange, w.tell(e, Good, 100), "once")
	}
	growing()
	assert.NotEqual(t, all[0], all[1], "jitter: %v", all)

	back()
	w.pass(29 * time.Second)
	w.tell(e, Good, 100)
	w.tell(e, Unreachable, 1)
	length(30*time.Second, "it was not good for long")

	back()
	w.pass(30*time.Second + 1)
	w.tell(e, Good, 1)
	growing() // from the beginning
}

func TestWhoCannotBeReachedStaysAwayUntilSomebodyListens(t *testing.T) {
	w := newWard(t, config.Weighted, equals(2)...)
	e := w.of(0)
	require.Equal(t, Ejected, w.tell(e, Unreachable, 1))
	assert.GreaterOrEqual(t, e.until.Load()-w.now, 8*second)
	w.pass(time.Second)
	require.False(t, e.admits(w.now))
	e.Reachable(w.now)
	require.True(t, e.admits(w.now), "a single request")
	require.False(t, e.admits(w.now))
	w.pass(time.Millisecond)
	require.Equal(t, Returned, w.tell(e, Good, 1))
	e.Reachable(w.now)
	require.True(t, e.admits(w.now))
	require.True(t, e.admits(w.now), "of one that is not ejected it is no news")
}

func TestWhoIsAskedForWantOfABetterOneIsNotEjectedAgain(t *testing.T) {
	w := newWard(t, config.Weighted, 1)
	e := w.of(0)
	require.Equal(t, Ejected, w.tell(e, Unreachable, 1))
	until := e.until.Load()
	for range 100 {
		w.pass(time.Millisecond)
		require.Same(t, e, w.pick())
		require.Equal(t, NoChange, w.tell(e, Unreachable, 1))
		require.Equal(t, NoChange, w.tell(e, Bad, 1))
	}
	assert.Equal(t, until, e.until.Load(), "neither sooner nor later")
	assert.Equal(t, Returned, w.tell(e, Good, 1), "but a success is one")
	assert.Zero(t, e.until.Load())
}

func TestOneThatReturnsIsNotLeftAlone(t *testing.T) {
	for n, most := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 10: 5} { // most: so many are ejected and stay so
		for out := 1; out <= n; out++ {
			w := newWard(t, config.Weighted, equals(n)...)
			for range 5 { // for long
				w.pass(time.Minute)
				for i := range out {
					if e := w.of(i); w.out() < out || e.admits(w.now) {
						require.Equal(t, Ejected, w.tell(e, Unreachable, 1))
					}
				}
			}
			require.Equal(t, out, w.out())
			w.pass(time.Second)
			require.Equal(t, Returned, w.tell(w.of(0), Good, 1))
			tried := 0
			for range 10 * n {
				if e := w.pick(); e.until.Load() != 0 {
					tried++
					w.pass(time.Millisecond)
					require.Equal(t, Returned, w.decision.Judge(e, Good, time.Millisecond, w.now))
				}
			}
			if out > most {
				assert.Equal(t, out-1, tried, "%d of %d", out, n)
			} else {
				assert.Zero(t, tried, "%d of %d", out, n)
			}
		}
	}
}

func TestOnlyOneTriesAnEjectedEndpoint(t *testing.T) {
	for _, policy := range []config.Policy{config.Weighted, config.Least, config.Hash} {
		w := newWard(t, policy, equals(3)...)
		e := w.of(0)
		w.tell(e, Unreachable, 1)
		round := func() (n int64) {
			var (
				wg    sync.WaitGroup
				tries atomic.Int64
				start = make(chan struct{})
				now   = w.now
			)
			for g := range 8 {
				wg.Go(func() {
					<-start
					for i := range 300 {
						d := w.decision
						d.HashBy(fmt.Sprint("key", g, i))
						if _, got := w.Pick(&d, Pick{Now: now}); got == e {
							tries.Add(1)
						}
					}
				})
			}
			close(start)
			wg.Wait()
			return tries.Load()
		}
		assert.Zero(t, round(), "policy %d: it is ejected", policy)
		for range 20 {
			w.now = e.until.Load() - 1
			require.Zero(t, round(), "policy %d: not yet", policy)
			w.now++
			require.EqualValues(t, 1, round(), "policy %d", policy)
			w.pass(time.Second - 1)
			require.Zero(t, round(), "policy %d: the one that tries it is on its way", policy)
			w.pass(1)
			require.EqualValues(t, 1, round(), "policy %d: nothing was heard of it", policy)
			require.Equal(t, Ejected, w.decision.Judge(e, Bad, 0, w.now))
		}
		w.now = e.until.Load()
		require.EqualValues(t, 1, round())
		require.Equal(t, Returned, w.decision.Judge(e, Good, 0, w.now))
		assert.Greater(t, round(), int64(100), "policy %d: it is back", policy)
	}
}

func TestWhatBeganBeforeAChangeSaysNothing(t *testing.T) {
	w := newWard(t, config.Weighted, equals(4)...)
	e := w.of(0)
	w.pass(time.Minute)
	w.tell(e, Unreachable, 1)
	changed := w.now
	w.pass(100 * time.Millisecond)
	for _, v := range []Verdict{Nothing, Good, Bad, Unreachable} {
		assert.Equal(t, NoChange, w.decision.Judge(e, v, 101*time.Millisecond, w.now), "verdict %d", v)
	}
	assert.True(t, e.Ejected(w.now))
	assert.Equal(t, 1, e.strikes)

	w.now = e.until.Load()
	require.True(t, e.admits(w.now))
	w.pass(5 * time.Millisecond)
	require.Equal(t, Returned, w.decision.Judge(e, Good, 5*time.Millisecond, w.now))
	for range 100 { // they waited all the time
		for _, v := range []Verdict{Bad, Unreachable} {
			w.pass(time.Millisecond)
			require.Equal(t, NoChange, w.decision.Judge(e, v, time.Duration(w.now-changed+1), w.now))
		}
	}
	assert.False(t, e.Ejected(w.now))
	assert.Equal(t, Ejected, w.decision.Judge(e, Unreachable, time.Millisecond, w.now), "a new one does")
}

func TestTheOthersKeepTheirShares(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		n := 1 + r.IntN(12)
		weights := make([]float64, n)
		for i := range weights {
			weights[i] = float64(1 + r.IntN(4))
		}
		if r.IntN(4) == 0 {
			weights[r.IntN(n)] = 100 // it is one of the others, or it is out
		}
		for _, policy := range []config.Policy{config.Weighted, config.Least, config.Hash} {
			w, out, rest, lost := newWard(t, policy, weights...), map[*Endpoint]bool{}, 0.0, 0.0
			for i, weight := range weights {
				if r.IntN(3) == 0 && lost+weight <= rest+weight { // as a rule not more than half
					w.tell(w.of(i), Unreachable, 1)
					out[w.of(i)] = true
					lost += weight
				} else {
					rest += weight
				}
			}
			const picks = 1000
			got := map[*Endpoint]int{}
			for range picks {
				d := w.decide(strconv.FormatUint(r.Uint64(), 36))
				_, e := w.Pick(&d, Pick{Now: w.now})
				require.NotNil(t, e, "seed %d", seed)
				got[e]++
			}
			for i, weight := range weights {
				if out[w.of(i)] && rest > 0 {
					require.Zero(t, got[w.of(i)], "seed %d: policy %d, weights %v", seed, policy, weights)
				}
				if !out[w.of(i)] && policy == config.Weighted && lost <= rest {
					require.InDelta(t, picks*weight/rest, got[w.of(i)], 0.05*picks*weight/rest+10,
						"seed %d: %d of weights %v, %d are out", seed, i, weights, len(out))
				}
			}
			// When they are back, so are their shares.
			for e := range out {
				w.now = max(w.now, e.until.Load())
			}
			for e := range out {
				if w.now > e.until.Load()+int64(probeTime) || e.admits(w.now) {
					w.tell(e, Good, 1)
				}
			}
			require.Zero(t, w.out(), "seed %d", seed)
		}
	}
}

func TestAKeyComesBackToItsOwner(t *testing.T) {
	w := newWard(t, config.Hash, equals(6)...)
	owners := func() map[string]*Endpoint {
		got := map[string]*Endpoint{}
		for i := range 1000 {
			key := fmt.Sprint("key", i)
			d := w.decide(key)
			_, got[key] = w.Pick(&d, Pick{Now: w.now})
			d.Begin(got[key], 0)
			d.Done(got[key])
		}
		return got
	}
	before := owners()
	e := w.of(2)
	w.tell(e, Unreachable, 1)
	during := owners()
	spilled := map[*Endpoint]bool{}
	for key, owner := range before {
		if owner == e {
			require.NotSame(t, e, during[key])
			spilled[during[key]] = true
		} else {
			require.Same(t, owner, during[key], "the others' keys stay")
		}
	}
	assert.Greater(t, len(spilled), 2, "each to the next on the ring, which are several")
	assert.Equal(t, during, owners(), "and to the same")

	w.now = e.until.Load()
	require.True(t, e.admits(w.now))
	require.Equal(t, Returned, w.tell(e, Good, 1))
	assert.Equal(t, before, owners())
	for i := range w.decision.subset.endpoints {
		assert.Zero(t, w.decision.subset.ring.loads[i].Load())
	}
	assert.Zero(t, w.decision.subset.total.Load())
}

func TestAHealthyPickAllocatesNothing(t *testing.T) {
	for _, policy := range []config.Policy{config.Weighted, config.Least, config.Hash} {
		w := newWard(t, policy, equals(10)...)
		d := w.decide("key")
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			w.now++
			_, e := w.Pick(&d, Pick{Now: w.now})
			d.Begin(e, w.now)
			e.Heard(1, w.now)
			d.Judge(e, Good, 1, w.now)
			d.Done(e)
		}), "policy %d", policy)
	}
}

// sim sends requests to instances whose time to answer is known, in virtual time.
type sim struct {
	*ward
	rate    float64                                             // requests a second
	answers func(e int, at time.Duration) (time.Duration, bool) // of instance e to a request that is sent then
	limit   time.Duration                                       // the deadline of a request; 0: none

	sent            []int
	failed, ejected int
}

type event struct {
	at, began int64
	e         int
	good      bool
}

// events is a heap of them.
type events struct{ list []event }

func (q *events) Len() int           { return len(q.list) }
func (q *events) Less(i, k int) bool { return q.list[i].at < q.list[k].at }
func (q *events) Swap(i, k int)      { q.list[i], q.list[k] = q.list[k], q.list[i] }
func (q *events) Push(x any)         { q.list = append(q.list, x.(event)) } //nolint:forcetypeassert // ours
func (q *events) Pop() any {
	last := q.list[len(q.list)-1]
	q.list = q.list[:len(q.list)-1]
	return last
}

// run sends for d, and ends what was sent.
func (s *sim) run(d time.Duration) {
	index := map[*Endpoint]int{}
	for i, e := range s.decision.subset.endpoints {
		index[e] = i
	}
	s.sent = make([]int, len(index))
	var q events
	end := s.now + int64(d)
	for next := s.now; next < end || q.Len() > 0; {
		if q.Len() > 0 && (q.list[0].at <= next || next >= end) {
			s.end(heap.Pop(&q).(event))
			continue
		}
		s.now = next
		next += int64(rand.ExpFloat64() / s.rate * float64(time.Second)) // they come at random
		dec := s.decision
		_, e := s.Pick(&dec, Pick{Now: s.now})
		dec.Begin(e, s.now)
		took, good := s.answers(index[e], time.Duration(s.now))
		if s.limit > 0 && took > s.limit {
			took, good = s.limit, false
		}
		s.sent[index[e]]++
		heap.Push(&q, event{s.now + int64(took), s.now, index[e], good})
	}
}

func (s *sim) end(x event) {
	s.now = x.at
	e, took, v := s.of(x.e), time.Duration(x.at-x.began), Bad
	if x.good {
		v = Good
		e.Heard(took, s.now)
	} else {
		e.Unheard()
		s.failed++
	}
	s.decision.Done(e)
	if s.decision.Judge(e, v, took, s.now) == Ejected {
		s.ejected++
	}
}

func TestSlowForAllEjectsNobody(t *testing.T) { // F6
	s := &sim{ward: newWard(t, config.Weighted, equals(4)...), rate: 400}
	s.answers = func(_ int, at time.Duration) (time.Duration, bool) {
		if at < 5*time.Second {
			return 2 * time.Millisecond, true
		}
		return 202 * time.Millisecond, true
	}
	s.run(30 * time.Second)
	assert.Zero(t, s.ejected)
	for _, n := range s.sent {
		assert.InDelta(t, 3000, n, 300, "%v", s.sent)
	}
	t.Logf("FIGURE F6: sent %v of 30 s at 400/s, ejected %d", s.sent, s.ejected)
}

func TestOneThatHangsIsLeftSoon(t *testing.T) { // F4, without retries and hedges
	s := &sim{ward: newWard(t, config.Weighted, equals(4)...), rate: 400, limit: 500 * time.Millisecond}
	warm := int64(5 * time.Second)
	s.answers = func(e int, at time.Duration) (time.Duration, bool) {
		if e == 0 && at > time.Duration(warm) {
			return time.Hour, true
		}
		return 2 * time.Millisecond, true
	}
	s.run(13 * time.Second)
	share := float64(s.failed) / (400 * 8)
	assert.Less(t, share, 0.01)
	assert.Positive(t, s.failed)
	t.Logf("FIGURE F4: 1 of 4 hangs for 8 s, 400/s, 500 ms: failed %d of 3200, %.2f %%; ejected %d times", s.failed, 100*share, s.ejected)
}

func TestAFewSlowRequestsMakeNoHotSpot(t *testing.T) {
	for _, c := range []struct {
		rate float64
		one  int           // of so many
		long time.Duration // is a report, a long poll
	}{{10, 20, 10 * time.Second}, {400, 20, 10 * time.Second}, {10, 200, time.Minute}, {40, 200, time.Minute}} {
		s := &sim{ward: newWard(t, config.Weighted, equals(4)...), rate: c.rate}
		s.answers = func(int, time.Duration) (time.Duration, bool) {
			if rand.IntN(c.one) == 0 {
				return c.long, true
			}
			return 2 * time.Millisecond, true
		}
		s.run(10 * time.Minute)
		t.Logf("FIGURE one of %d requests takes %s, %v/s: %v", c.one, c.long, c.rate, s.sent)
		assert.Zero(t, s.ejected)
		for _, n := range s.sent {
			assert.InDelta(t, c.rate*150, n, c.rate*75, "%v", s.sent)
		}
	}
}

// Where most are ejected, the few others share by weight.
func TestTheFewThatAreLeftShareByWeight(t *testing.T) {
	weights := slices.Repeat([]float64{1}, 100)
	weights[3] = 2
	w := newWard(t, config.Weighted, weights...)
	left := map[*Endpoint]bool{w.of(3): true, w.of(4): true, w.of(50): true}
	for i := range weights {
		if e := w.of(i); !left[e] {
			w.tell(e, Unreachable, 1)
		}
	}
	got := w.shares(4000)
	assert.Len(t, got, 3)
	assert.InDelta(t, 2000, got[w.of(3)], 120)
	assert.InDelta(t, 1000, got[w.of(50)], 120)
}

// What takes long at some instances keeps no quick request from them for long.
func TestLongRequestsDoNotStarveTheirInstances(t *testing.T) {
	for slow := 1; slow <= 4; slow++ {
		w := newWard(t, config.Weighted, equals(4)...)
		for i := range slow {
			for range 3 {
				w.of(i).begin(w.now)
			}
		}
		w.pass(200 * time.Millisecond)
		got := map[*Endpoint]int{}
		for range 2000 { // 100 a second
			e := w.pick()
			got[e]++
			e.begin(w.now)
			w.pass(2 * time.Millisecond)
			e.Heard(2*time.Millisecond, w.now)
			w.pass(8 * time.Millisecond)
		}
		for e, n := range got {
			assert.Greater(t, n, 400, "%d slow: %s", slow, e.ID())
		}
		assert.Len(t, got, 4)
	}
}

func TestAWithdrawnTargetIsNotForgottenWhileNobodyIsThere(t *testing.T) {
	doc := rules(t, `
gray: v1
default: v1
rules: [{name: asked-for, by: header.x-gray-version}]
guard: {failures: 1, hold: 1h}
`)
	list := versions("v1", "v2")
	d := Build(doc, nil, snapshot(list...), Options{}, nil)
	dec, err := d.DecideAt(request{headers: map[string]string{"x-gray-version": "v2"}}, -1, 1)
	require.NoError(t, err)
	require.Equal(t, Ejected, d.Count(&dec, Bad, 1, 2))
	for _, healthy := range []bool{false, true} {
		list[1].Healthy = healthy
		d = Build(doc, nil, snapshot(list...), Options{}, d)
		assert.Equal(t, []string{"v2"}, d.Withdrawn(3))
	}
}

func TestATrialThatIsNotMadeIsTheNextOnes(t *testing.T) {
	g := newGuard(config.Guard{Errors: -1, Failures: 1, Hold: time.Second, Over: time.Second})
	require.Equal(t, Ejected, g.done(true, 1, 2))
	now := 2 + int64(2*time.Second)
	require.True(t, g.admits(now))
	require.False(t, g.admits(now+1))
	g.forgo(now + 1)
	require.False(t, g.admits(now+2), "it was not that one's")
	g.forgo(now)
	require.True(t, g.admits(now+3))
}
