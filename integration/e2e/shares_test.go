package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/resolver"
)

// share is a document that gives v2 a part of all requests. The salt pins who is
// in it, whatever the service's name.
func share(percent int, sticky bool) string {
	doc := fmt.Sprintf("gray: v1\ndefault: v1\nrules:\n- {name: share, to: {v2: %d%%}", percent)
	if sticky {
		doc += ", sticky: user, salt: share"
	}
	return doc + "}\n"
}

func TestShareIsExact(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const percent = 20
		providers := s.provideAll("v1", "v1", "v2", "v2", "v2")
		c := s.consume()
		c.sees(len(providers))
		rules := s.publish(byHeader)
		c.follows(rules)
		for _, protocol := range protocols() {
			c.warmUp(protocol, providers, func(i int) ask { return ask{version: fmt.Sprint("v", i+1)} })
		}
		c.follows(s.publish(share(percent, false)))

		for _, protocol := range protocols() {
			from := s.recorder.Now()
			c.send(protocol, 2_000, 8, anyone)
			counts := instances(s.attempts(protocol, from), "v2")
			require.Len(t, counts, 3)
			fewest, most := slices.Min(slices.Collect(maps.Values(counts))), slices.Max(slices.Collect(maps.Values(counts)))
			// The rotation starts at random: an instance's error is nearly always below
			// 3, but not from every start.
			arm := 0
			for _, n := range counts {
				arm += n
			}
			fair := float64(arm) / float64(len(counts))
			for addr, n := range counts {
				assert.InDelta(t, fair, n, 6, "%s, of the instances of one arm: %v", addr, counts)
			}
			figure(t, "%s: of 2,000 requests the three instances of the arm served %d to %d each", protocol, fewest, most)

			from = s.recorder.Now()
			c.send(protocol, 10_000, 8, anyone)
			got := versionShare(s.attempts(protocol, from), "v2")
			assert.InDelta(t, percent, got, 0.1)
			figure(t, "%s: %.2f %% of 10,000 requests for a share of %d %%", protocol, got, percent)
		}
		s.flawless()
	})
}

func TestUsersStayWhereTheyAre(t *testing.T) {
	forEachServer(t, func(s *stage) {
		t := s.t
		const users = 100_000
		providers := s.provideAll("v1", "v2")
		c := s.consume()
		c.sees(len(providers))
		client := s.open()
		view, err := client.Resolver().View(client.Resolver().Service(s.service), "http")
		require.NoError(t, err)

		moved := map[int]map[int]bool{}
		for _, percent := range []int{20, 10, 25} {
			rules := s.publish(share(percent, true))
			c.follows(rules)
			moved[percent] = usersOn(t, view, rules, "v2", users)
			got := 100 * float64(len(moved[percent])) / users
			assert.InDelta(t, percent, got, 0.3)
			figure(t, "%.3f %% of %d users for a sticky share of %d %%", got, users, percent)
		}
		left := 0
		for user := range moved[10] {
			if !moved[25][user] {
				left++
			}
		}
		assert.Zero(t, left, "users who left v2 when its share grew")
		figure(t, "from 10 %% to 25 %%: %d users came to v2, %d left", len(moved[25])-len(moved[10])+left, left)

		const overTheWire = 3_000
		for _, protocol := range protocols() {
			from := s.recorder.Now()
			c.send(protocol, overTheWire, 8, func(i int) ask { return ask{user: user(i)} })
			log := s.attempts(protocol, from)
			require.Len(t, log, overTheWire)
			for i := range log {
				want := "v1"
				var n int
				_, err := fmt.Sscanf(log[i].User, "user-%d", &n)
				require.NoError(t, err)
				if moved[25][n] {
					want = "v2"
				}
				require.Equal(t, want, log[i].Version, "%s of %s", log[i].ID, log[i].User)
			}
		}
		s.flawless()
	})
}

// usersOn returns which users are sent to a version.
func usersOn(t *testing.T, view *resolver.View, rules judge.Publication, version string, users int) map[int]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, awaitState(ctx, view, func(st *resolver.State) bool {
		return st.Revision() == rules.Revision() && st.Snapshot.Len() == 2
	}))
	on := map[int]bool{}
	for i := range users {
		call, err := view.Pick(ctx, request{user: user(i)}, nil)
		require.NoError(t, err)
		if call.Instance().Metadata["version"] == version {
			on[i] = true
		}
		call.Done(ctx, resolver.Outcome{})
	}
	return on
}

// open returns a client that no recorder hears of.
func (s *stage) open() *graylane.Client {
	s.t.Helper()
	client, err := graylane.Open(s.t.Context(), graylane.WithServers(s.nacos.addr), graylane.WithSlowStart(0))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, client.Close()) })
	return client
}

func user(i int) string { return fmt.Sprint("user-", i) }

// request is a request as a view sees it: of some user, else bare.
type request struct{ user string }

func (request) Header(config.HeaderName) (string, bool) { return "", false }
func (request) Cookie(string) (string, bool)            { return "", false }
func (request) Query(string) (string, bool)             { return "", false }
func (request) Path() string                            { return "/hello" }
func (request) Method() string                          { return "GET" }
func (r request) User() string                          { return r.user }
func (request) Lane() string                            { return "" }

// instances counts the requests that each instance of a version served.
func instances(log []judge.Attempt, version string) map[string]int {
	counts := map[string]int{}
	for i := range log {
		if log[i].Version == version {
			counts[log[i].Addr]++
		}
	}
	return counts
}

// versionShare returns the percentage of requests that a version served.
func versionShare(log []judge.Attempt, version string) float64 {
	n := 0
	for _, served := range instances(log, version) {
		n += served
	}
	return 100 * float64(n) / float64(len(log))
}
