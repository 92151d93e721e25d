package lane_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/lane"
)

func TestBaggageLane(t *testing.T) {
	for want, all := range map[string][][]string{
		"blue": {
			{"gray-lane=blue"},
			{"a=b,gray-lane=blue,c=d"},
			{"a=b", " gray-lane = blue ; property=1 , c=d"},
			{",,gray-lane=blue,"},
		},
		"": {
			nil,
			{""},
			{"gray-lane"},
			{"gray-lane="},
			{"gray-lane=no name"},
			{"gray-lane=blue,gray-lane=green"},
			{"gray-lane=blue", "gray-lane=blue"},
			{"GRAY-LANE=blue"},
			{"x-gray-lane=blue"},
			{"a=gray-lane=blue"},
			{"gray-lane=blue," + strings.Repeat("a", 8192)},
		},
	} {
		for _, lines := range all {
			assert.Equal(t, want, lane.BaggageLane(lines), "%q", lines)
		}
	}
}

func TestWithBaggageLaneLeavesTheOthers(t *testing.T) {
	for _, c := range []struct {
		name, lane string
		lines      []string
		want       string
		changed    bool
	}{
		{"none before", "blue", nil, "gray-lane=blue", true},
		{"others before", "blue", []string{"a=b;p=1", "c=d"}, "a=b;p=1,c=d,gray-lane=blue", true},
		{"another lane", "blue", []string{"a=b,gray-lane=green,c=d"}, "a=b,c=d,gray-lane=blue", true},
		{"two lanes", "blue", []string{"gray-lane=blue,gray-lane=blue"}, "gray-lane=blue", true},
		{"the same", "blue", []string{"a=b,gray-lane=blue"}, "", false},
		{"out of it", "", []string{"a=b,gray-lane=green"}, "a=b", true},
		{"out of what never was", "", []string{"a=b"}, "", false},
		{"a name that only looks like it", "", []string{"x-gray-lane=b"}, "x-gray-lane=b", false},
		{"no room by size", "blue", []string{strings.Repeat("a", 8180)}, "", false},
		{"no room by number", "blue", []string{strings.Repeat("a=b,", 180)}, "", false},
		{"just room by number", "blue", []string{strings.Repeat("a=b,", 179)}, strings.Repeat("a=b,", 179) + "gray-lane=blue", true},
	} {
		line, changed := lane.WithBaggageLane(c.lines, c.lane)
		assert.Equal(t, c.changed, changed, c.name)
		assert.Equal(t, c.want, line, c.name)
	}
}

func TestTheLaneComesByBaggageWhereTheHeaderIsAbsent(t *testing.T) {
	from := func(m message) string { return lane.From(lane.Extract(t.Context(), m, lane.DefaultHeaders())) }
	assert.Equal(t, "blue", from(message{"baggage": {"gray-lane=blue"}}))
	assert.Equal(t, "green", from(message{"baggage": {"gray-lane=blue"}, "x-gray-lane": {"green"}}), "the header wins")
	assert.Empty(t, from(message{"baggage": {"gray-lane=blue"}, "x-gray-lane": {"no name"}}))
	assert.Empty(t, from(message{"baggage": {"gray-lane=blue"}, "x-gray-lane": {"green", "green"}}))
	ctx := lane.Extract(t.Context(), message{"baggage": {"gray-lane=blue"}}, []string{lane.HeaderTag})
	assert.Empty(t, lane.From(ctx), "the lane is not among the carried headers")
}

// An instrumentation may carry all baggage on, the lane in it too. What the
// context says goes before that.
func TestBaggageNeverSaysAnotherLaneThanTheHeader(t *testing.T) {
	for _, c := range []struct{ in, carried, want string }{
		{"blue", "blue", "blue"},
		{"blue", "green", "green"},
		{"blue", "", ""},
	} {
		out := message{"baggage": {"a=b,gray-lane=" + c.in}}
		ctx := lane.With(t.Context(), c.carried)
		require.True(t, lane.Injects(ctx, out))
		lane.Inject(ctx, out)
		assert.Equal(t, c.want, lane.Of(out))
		assert.Equal(t, c.want, lane.BaggageLane(out["baggage"]))
		assert.Contains(t, out["baggage"][0], "a=b")
	}
}

func FuzzBaggage(f *testing.F) {
	f.Add("a=b,gray-lane=blue;p", "c=d", "green")
	f.Add("gray-lane=a,gray-lane=b", "", "")
	f.Add("gray-lane", " gray-lane = a ;p=gray-lane, x-gray-lane=b", "a")
	f.Add(strings.Repeat("a=b,", 179), "c", "a")
	f.Add(strings.Repeat("a", 8170), "", "green")
	// others are the members of lines that are not the lane's.
	others := func(lines []string) (members []string, size int) {
		for member := range strings.SplitSeq(strings.Join(lines, ","), ",") {
			member = strings.Trim(member, " \t")
			key, _, _ := strings.Cut(member, "=")
			if member != "" && strings.TrimRight(key, " \t") != "gray-lane" {
				members = append(members, member)
				size += len(member) + 1
			}
		}
		return members, size
	}
	f.Fuzz(func(t *testing.T, one, two, name string) {
		if !lane.Valid(name) {
			name = ""
		}
		before := []string{one, two}
		lines := before
		line, changed := lane.WithBaggageLane(lines, name)
		if changed {
			lines = []string{line}
		}
		members, size := others(before)
		kept, _ := others(lines)
		require.Equal(t, members, kept, "nobody else's member is touched")

		again, twice := lane.WithBaggageLane(lines, name)
		require.False(t, twice, "%q becomes %q", lines, again)
		got := lane.BaggageLane(lines)
		if len(members) < 180 && size+len("gray-lane=")+len(name) <= 8192 && (changed || len(one)+len(two) <= 8192) {
			require.Equal(t, name, got, "there is room")
		} else if got != "" {
			require.Equal(t, name, got)
		}
	})
}
