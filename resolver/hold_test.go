package resolver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

// named returns an instance for each letter; a capital is an unhealthy one.
func named(letters string) []registry.Instance {
	out := []registry.Instance{}
	for _, c := range letters {
		in := instance("10.0.0.1:80", "v1")
		in.ID, in.Healthy = strings.ToLower(string(c)), strings.ToLower(string(c)) == string(c)
		out = append(out, in)
	}
	return out
}

// letters is the reverse of named, sorted.
func letters(list []registry.Instance) string {
	out := []string{}
	for _, in := range list {
		if !in.Healthy {
			in.ID = strings.ToUpper(in.ID)
		}
		out = append(out, in.ID)
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

func TestHold(t *testing.T) {
	// A script has steps, parted by spaces: "ab" is a list, "-" the empty one, "!a" the
	// proof that a is gone, "+5" the time in seconds that passes, "~5" the same unnoticed.
	// After "=" stands what is in use then.
	tests := []struct{ name, script string }{
		{"nothing was ever there", "- =-"},
		{"the empty list", "abc - =abc"},
		{"the empty list of one", "a - =a"},
		{"the empty list again", "abc - - =abc"},
		{"time settles it", "abc - +59 =abc +1 =-"},
		{"a list after the limit settles it too", "abcde ab ~60 ab =ab"},
		{"time counts from the first list without it", "abc - +30 - +30 =-"},
		{"proof settles it", "abc - !a =bc !c =b !b =- - =-"},
		{"proof of what is listed", "abc !a =abc"},
		{"proof of what nobody knows", "abc - !z =abc"},
		{"one of two", "ab a =a"},
		{"one of two, then the last", "ab a +11 - =a"},
		{"one of ten", "abcdefghij abcdefghi =abcdefghi"},
		{"30 percent", "abcdefghij abcdefg =abcdefg"},
		{"more than 30 percent", "abcdefghij abcdef =abcdefghij"},
		{"two of five", "abcde abc =abcde"},
		{"all are others", "abc xyz =abcxyz"},
		{"all are others, and the old ones are gone", "abc xyz !a !b !c =xyz"},

		{"it comes back", "abc - abc =abc - !a =bc"},
		{"it comes back in parts", "abcdef - a =abcdef abc =abcdef +60 =abc"},
		{"one that came back leaves anew", "abc - +50 abc - +59 =abc +1 =-"},
		{"it comes back unhealthy", "abc - Abc =Abc"},
		{"it was unhealthy and is held so", "Abc - =Abc"},
		{"one that was proved gone comes back", "abc - !a a =abc"},
		{"flapping", "abcd - abcd - abcd - abcd =abcd - =abcd"},
		{"the last held ones stay until they are settled", "abcdefghij - abcdefghi =abcdefghij +60 =abcdefghi"},

		{"bit by bit", "abcdefghij abcdefgh =abcdefgh abcdef =abcdefghij abcd =abcdefghij - =abcdefghij"},
		{"bit by bit, up to 30 percent", "abcdefghij abcdefgh abcdefg =abcdefg"},
		{"what comes back makes good no other loss", "abcdefghij abcdefgh abcd =abcdefghij abcdefgh abcdef =abcdefghij"},
		{"bit by bit, slowly", "abcdefghij abcdefgh +10 abcdef =abcdef +10 abcde =abcde"},
		{"one by one", "abcde abcd =abcd abc =abcde !e =abcd"},
		{"one by one, slowly", "abcde abcd +10 abc =abc +10 ab =ab +10 a =a"},
		{"a registry in doubt is not believed the next", "abcdefghij abcde +11 abcd =abcdefghij"},
		{"after the doubt it is believed again", "abcdefghij abcde !f !g !h !i !j +11 abcd =abcd"},
		{"proof is no loss", "abcde - !a !b !c !d !e abcde abcd =abcd"},

		{"rolling restart", "abcde bcde =bcde +2 abcde acde =acde +2 abcde abde =abde +2 abcde abce =abce"},
		{"rolling restart in merged pushes", "abcde bcde =bcde acde =acde abde =abde abce =abce"},
		{"rolling restart to other addresses", "abcde bcde =bcde bcdev cdev =cdev cdevw devw =devw devwx"},
		{"rolling restart, the new ones first", "abcde abcdev bcdev =bcdev bcdevw cdevw =cdevw cdevwx devwx =devwx"},
		{"rolling restart, old and new in one push", "abcde bcdev cdevw =cdevw devwx devw =devw"},
		{"rolling restart of a pair", "ab a =a ab b =b ab a =a"},
		{"to grow earns nothing", "ab abcdefghij abcdef =abcdefghij"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, now := newHold(holdLimit), int64(1)
			for i, step := range strings.Fields(tt.script) {
				switch rest := step[1:]; step[0] {
				case '=':
					require.Equal(t, strings.Trim(rest, "-"), letters(h.effective()), "step %d: %s", i, step)
				case '+', '~':
					d, err := time.ParseDuration(rest + "s")
					require.NoError(t, err)
					now += int64(d)
					if step[0] == '+' {
						h.expire(now)
					}
				case '!':
					h.gone(rest)
				default:
					got, _ := h.list(named(strings.Trim(step, "-")), now)
					require.Equal(t, letters(h.effective()), letters(got))
				}
			}
		})
	}
}

func TestHoldOff(t *testing.T) {
	h := newHold(0)
	for _, list := range []string{"abc", "", "abcde", "a"} {
		got, began := h.list(named(list), 1)
		assert.Equal(t, list, letters(got))
		assert.Equal(t, list, letters(h.effective()))
		assert.False(t, began)
	}
	assert.False(t, h.settled())
	assert.Zero(t, h.deadline())
}

func TestHoldKeepsInstances(t *testing.T) {
	a, b, c := instance("10.0.0.1:80", "v1"), instance("10.0.0.2:80", "v2"), instance("10.0.0.3:80", "v1")
	b.Weight, c.Enabled = 250, false
	a.ID = "" // as NewSnapshot takes it
	h := newHold(holdLimit)
	h.list([]registry.Instance{c, b, a}, 1)
	got, began := h.list(nil, 2)
	a.ID = "10.0.0.1:80#DEFAULT"
	assert.True(t, began)
	assert.Equal(t, []registry.Instance{a, b, c}, got)
	assert.Equal(t, got, h.held())

	back := instance("10.0.0.2:80", "v3") // the registry's word wins
	got, began = h.list([]registry.Instance{back}, 3)
	assert.False(t, began)
	assert.Equal(t, []registry.Instance{back, a, c}, got)

	got, _ = h.list(nil, 4) // and is what is held from now on
	assert.Equal(t, []registry.Instance{a, back, c}, got)
}

func TestHoldBeginsAndSettlesOnce(t *testing.T) {
	h := newHold(holdLimit)
	began := func(list string, now int64) bool {
		_, b := h.list(named(list), now)
		return b
	}
	assert.False(t, began("abc", 1))
	assert.False(t, h.settled(), "nothing was held")
	assert.True(t, began("", 2))
	assert.False(t, began("", 3), "the same hold")
	assert.Equal(t, int64(2)+int64(holdLimit), h.deadline())
	assert.False(t, h.settled())
	assert.True(t, h.gone("a"))
	assert.False(t, h.gone("a"), "known")
	assert.False(t, h.settled())
	assert.False(t, h.expire(1+int64(holdLimit)))
	assert.True(t, h.expire(2+int64(holdLimit)))
	assert.True(t, h.settled())
	assert.False(t, h.settled(), "said")
	assert.Zero(t, h.deadline())

	assert.False(t, began("abc", 4))
	assert.True(t, began("a", 5), "another hold")
	assert.False(t, began("abc", 6))
	assert.True(t, h.settled(), "all are back")
}

func TestHoldDeadline(t *testing.T) {
	h := newHold(holdLimit)
	h.list(named("abcdef"), 1)
	h.list(named("abc"), 2)
	h.list(nil, 3)
	for range 20 { // maps have no order
		require.Equal(t, int64(2)+int64(holdLimit), h.deadline(), "the first that is over")
	}
	h.expire(h.deadline())
	assert.Equal(t, "abc", letters(h.held()))
	assert.Equal(t, int64(3)+int64(holdLimit), h.deadline())
}

// moment is what a trial remembers of the past.
type moment struct {
	at     int64
	size   int
	proved int // how many had been dropped by proof or time until then
}

// trial drives a hold and judges it by what is promised, not by how it works.
type trial struct {
	t       *testing.T
	rng     *rand.Rand
	h       *hold
	now     int64
	listed  map[string]registry.Instance // the registry's list
	use     map[string]registry.Instance // in use
	since   map[string]int64             // when it was first missing, by ID
	refused map[string]bool              // since it was last listed
	fresh   map[string]bool              // what the list of this step lacks first
	proved  int
	past    []moment
}

func TestHoldPromises(t *testing.T) {
	for seed := range uint64(200) {
		tr := &trial{
			t: t, rng: rand.New(rand.NewPCG(seed, 7)), h: newHold(holdLimit), now: 1,
			listed: map[string]registry.Instance{}, use: map[string]registry.Instance{},
			since: map[string]int64{}, refused: map[string]bool{},
		}
		for range 40 {
			tr.step()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		// The registry's last word is in force after the limit at the latest.
		tr.now += int64(holdLimit)
		tr.h.expire(tr.now)
		require.Equal(t, tr.listed, byID(tr.h.effective()), "seed %d", seed)
	}
}

func (tr *trial) step() {
	switch tr.rng.IntN(6) {
	case 0:
		tr.now += int64(time.Second) * tr.rng.Int64N(25)
		tr.h.expire(tr.now)
		tr.settle(nil)
	case 1, 2:
		tr.refuse()
	default:
		tr.now += int64(time.Second) * tr.rng.Int64N(4)
		tr.h.expire(tr.now)
		tr.settle(nil)
		tr.take(tr.next())
	}
}

// next is another list: nothing, a little change, or any.
func (tr *trial) next() []registry.Instance {
	list := slices.SortedFunc(maps.Values(tr.listed), func(a, b registry.Instance) int { return strings.Compare(a.ID, b.ID) })
	switch kind := tr.rng.IntN(5); kind {
	case 0:
		list = nil
	case 1, 2: // some leave
		for range tr.rng.IntN(3) + 1 {
			if n := len(list); n > 0 {
				list = slices.Delete(list, n-1, n)
				tr.rng.Shuffle(n-1, func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
		}
	case 3: // some come
		for range tr.rng.IntN(6) + 1 {
			list = append(list, tr.any())
		}
	default:
		list = nil
		for range tr.rng.IntN(12) {
			list = append(list, tr.any())
		}
	}
	return list
}

func (tr *trial) any() registry.Instance {
	in := instance(fmt.Sprintf("10.0.0.%d:80", tr.rng.IntN(14)), fmt.Sprint("v", tr.rng.IntN(1e6)))
	in.Healthy = tr.rng.IntN(5) > 0
	return in
}

// take gives a list to the hold and judges the answer.
func (tr *trial) take(list []registry.Instance) {
	wasUse, wasListed := tr.use, tr.listed
	tr.remember()
	got, _ := tr.h.list(list, tr.now)
	tr.listed = byID(list)
	for id := range tr.listed {
		delete(tr.since, id)
		delete(tr.refused, id)
	}
	tr.fresh = map[string]bool{}
	for id := range wasListed {
		if _, ok := tr.listed[id]; !ok {
			tr.since[id], tr.fresh[id] = tr.now, true
		}
	}
	lost := len(tr.fresh)
	tr.settle(got)
	tr.fresh = nil

	leavers := 0
	for id := range wasUse {
		if _, ok := tr.use[id]; !ok {
			leavers++
		}
	}
	mass := lost > 1 && float64(lost) > 0.3*float64(len(wasUse))
	if len(list) == 0 || mass {
		assert.Zero(tr.t, leavers, "a claim was obeyed")
	}
	quiet := len(wasUse) == len(wasListed) && tr.peak() <= len(wasUse)
	if lost == 1 && len(list) > 0 && quiet {
		assert.Equal(tr.t, 1, leavers, "a single loss was held")
	}
	// In any window: at most one, or 30 percent of the most, without proof.
	for _, m := range tr.window() {
		unproved := m.size - len(tr.use) - (tr.proved - m.proved)
		assert.LessOrEqual(tr.t, float64(unproved), max(1, 0.3*float64(tr.peak())), "too many left")
	}
}

// settle notes what is in use and judges what holds at any time.
func (tr *trial) settle(list []registry.Instance) {
	if list == nil {
		list = tr.h.effective()
	}
	was := tr.use
	tr.use = byID(list)
	assert.Len(tr.t, tr.use, len(tr.listed)+len(tr.h.held()), "one twice")
	for id, in := range tr.listed {
		assert.Equal(tr.t, in, tr.use[id], "not as the registry says")
	}
	for id, in := range tr.use {
		if _, ok := tr.listed[id]; ok {
			continue
		}
		if before, ok := was[id]; ok {
			assert.Equal(tr.t, before, in, "held, but not as it was")
		} else {
			assert.Less(tr.t, tr.now-tr.since[id], int64(holdWindow), "brought back from long ago")
			delete(tr.refused, id) // what was proved before it was held proves nothing now
		}
		assert.False(tr.t, tr.refused[id], "refused, but kept")
		assert.Less(tr.t, tr.now-tr.since[id], int64(holdLimit+holdWindow), "kept for too long")
	}
	for id := range was {
		_, used := tr.use[id]
		_, listed := tr.listed[id]
		if !used && !listed && !tr.fresh[id] {
			tr.proved++
			assert.True(tr.t, tr.refused[id] || tr.now-tr.since[id] >= int64(holdLimit), "lost without a reason")
		}
	}
}

// refuse lets the dial of any instance fail.
func (tr *trial) refuse() {
	id := tr.any().ID
	if _, ok := tr.listed[id]; ok {
		assert.False(tr.t, tr.h.gone(id))
	} else {
		_, used := tr.use[id]
		tr.refused[id] = true
		assert.Equal(tr.t, used, tr.h.gone(id))
	}
	tr.settle(nil)
}

func (tr *trial) remember() {
	tr.past = append(tr.past, moment{at: tr.now, size: len(tr.use), proved: tr.proved})
}

// window returns what was in force within the window.
func (tr *trial) window() []moment {
	for i, m := range tr.past { // a moment says what was in force until then
		if tr.now-m.at < int64(holdWindow) {
			return tr.past[i:]
		}
	}
	return nil
}

func (tr *trial) peak() int {
	most := 0
	for _, m := range tr.window() {
		most = max(most, m.size)
	}
	return most
}
