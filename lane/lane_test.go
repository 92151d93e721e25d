package lane_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/lane"
)

// message is a Carrier as a message queue's client might have one.
type message map[string][]string

func (m message) Values(name string) []string { return m[name] }
func (m message) Set(name, value string)      { m[name] = []string{value} }

func TestWhatIsExtractedIsInjected(t *testing.T) {
	in := message{
		"x-gray-lane": {"blue"}, "x-gray-version": {"v2"}, "x-tag": {"a=b"},
		"x-user-id": {"u1"}, "x-user-type": {"staff"}, "authorization": {"secret"},
	}
	ctx := lane.Extract(t.Context(), in, lane.DefaultHeaders())
	assert.Equal(t, "blue", lane.From(ctx))
	assert.Equal(t, "u1", lane.User(ctx))
	out := message{}
	lane.Inject(ctx, out)
	delete(in, "authorization")
	in["baggage"] = []string{"gray-lane=blue"}
	assert.Equal(t, in, out)
}

func TestWhatIsNotOneCleanValueIsNotCarried(t *testing.T) {
	in := message{
		"x-gray-lane":    {"no name"},
		"x-gray-version": {"v1", "v2"},
		"x-tag":          {""},
		"x-user-id":      {strings.Repeat("u", lane.MaxValue+1)},
		"x-user-type":    {strings.Repeat("u", lane.MaxValue)},
	}
	ctx := lane.Extract(t.Context(), in, lane.DefaultHeaders())
	out := message{}
	lane.Inject(ctx, out)
	assert.Equal(t, message{"x-user-type": in["x-user-type"]}, out)
}

func TestAMessageReplacesWhatTheContextCarried(t *testing.T) {
	ctx := lane.With(lane.WithUser(t.Context(), "u1"), "blue")
	ctx = lane.Extract(ctx, message{}, lane.DefaultHeaders())
	assert.Empty(t, lane.From(ctx))
	assert.Equal(t, "u1", lane.User(ctx), "who the application has found out")
	ctx = lane.Extract(lane.With(t.Context(), "blue"), message{}, lane.DefaultHeaders())
	assert.False(t, lane.Injects(ctx, message{}))
}

func TestInjectLeavesWhatTheCallerSet(t *testing.T) {
	ctx := lane.WithUser(lane.With(t.Context(), "blue"), "u1")
	out := message{"x-gray-lane": {"green"}, "x-user-id": {"u2"}}
	lane.Inject(ctx, out)
	assert.Equal(t, message{"x-gray-lane": {"green"}, "x-user-id": {"u1"}, "baggage": {"gray-lane=green"}}, out,
		"but for the user: what the application said goes before the header")
	assert.Equal(t, "green", lane.Of(out))
	assert.Equal(t, "u1", lane.UserOf(ctx, out))

	out = message{"x-user-id": {"u2"}}
	lane.Inject(lane.WithUser(t.Context(), "no\nheader"), out)
	assert.Equal(t, message{"x-user-id": {""}}, out, "not somebody else")
}

func TestTheApplicationsUserBeatsTheHeaders(t *testing.T) {
	ctx := lane.Extract(t.Context(), message{"x-user-id": {"from-header"}}, lane.DefaultHeaders())
	assert.Equal(t, "from-header", lane.User(ctx))
	ctx = lane.WithUser(ctx, "from-app")
	assert.Equal(t, "from-app", lane.User(ctx))
	out := message{}
	lane.Inject(ctx, out)
	assert.Equal(t, message{"x-user-id": {"from-app"}}, out)
}

func TestAUserThatIsNoHeaderValueIsNotSent(t *testing.T) {
	for _, user := range []string{"a\r\nx-admin: 1", "tab\tis fine?", "\x00", strings.Repeat("u", lane.MaxValue+1)} {
		ctx := lane.WithUser(t.Context(), user)
		out := message{}
		lane.Inject(ctx, out)
		assert.Empty(t, out, "%q", user)
		assert.Equal(t, user, lane.User(ctx), "but rules of this process see it")
	}
}

func TestContextsAreNotChangedByTheirChildren(t *testing.T) {
	parent := lane.With(t.Context(), "blue")
	child := lane.With(parent, "green")
	off := lane.With(parent, "not a name")
	assert.Equal(t, "blue", lane.From(parent))
	assert.Equal(t, "green", lane.From(child))
	assert.Empty(t, lane.From(off))
	assert.Empty(t, lane.From(t.Context()))
}

func TestOfNeedsExactlyOneName(t *testing.T) {
	assert.Equal(t, "blue", lane.Of(message{"x-gray-lane": {"blue"}}))
	assert.Empty(t, lane.Of(message{"x-gray-lane": {"blue", "blue"}}))
	assert.Empty(t, lane.Of(message{"x-gray-lane": {"-"}}))
	assert.Empty(t, lane.Of(message{}))
}

func TestValid(t *testing.T) {
	for _, s := range []string{"a", "A1", "canary-v2", "a.b_c-d", strings.Repeat("x", 64)} {
		assert.True(t, lane.Valid(s), s)
	}
	for _, s := range []string{"", "-a", "a-", ".", "a b", "ü", "a/b", strings.Repeat("x", 65)} {
		assert.False(t, lane.Valid(s), s)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("blue", "a=b,gray-lane=green", "u1")
	f.Add("", "gray-lane=green;p=1, c=d", "")
	f.Add("a\r\nb", "gray-lane=x,gray-lane=x", "\x00")
	f.Add("-", "gray-lane="+strings.Repeat("x", 65), strings.Repeat("u", lane.MaxValue+1))
	f.Fuzz(func(t *testing.T, name, baggage, user string) {
		in := message{"x-user-id": {user}, "x-tag": {name}, "baggage": {baggage}}
		want := lane.BaggageLane(in["baggage"])
		if name != "" {
			in["x-gray-lane"] = []string{name}
			want = ""
			if lane.Valid(name) {
				want = name
			}
		}
		ctx := lane.Extract(t.Context(), in, lane.DefaultHeaders())
		require.Equal(t, want, lane.From(ctx))

		out := message{}
		lane.Inject(ctx, out)
		for header, vs := range out {
			require.Len(t, vs, 1)
			require.LessOrEqual(t, len(vs[0]), lane.MaxValue)
			require.False(t, strings.ContainsFunc(vs[0], func(r rune) bool { return r < ' ' || r == 0x7f }), header)
		}
		require.Equal(t, want, lane.Of(out), "the header says it")
		require.Equal(t, want, lane.BaggageLane(out["baggage"]), "and the baggage")

		// The next hop carries on the same.
		again := lane.Extract(t.Context(), out, lane.DefaultHeaders())
		require.Equal(t, lane.From(ctx), lane.From(again))
		require.Equal(t, lane.User(ctx), lane.User(again))
		next := message{}
		lane.Inject(again, next)
		require.Equal(t, out, next)
	})
}

func TestOnlyARequestsOwnHeadersTravel(t *testing.T) {
	for _, name := range []string{"x-tag", "x_1.~", "accept-language"} {
		assert.True(t, lane.Carriable(name), name)
	}
	for _, name := range []string{
		"", ":path", "bad name", "X-Upper", "ü", "host", "connection", "te", "content-length", "transfer-encoding",
		"proxy-authorization", "grpc-timeout", "x-trace-bin", "a\nb",
	} {
		assert.False(t, lane.Carriable(name), "%q", name)
	}
	out := message{}
	lane.Inject(lane.WithHeader(t.Context(), "bad name", "v"), out)
	assert.Empty(t, out)
}
