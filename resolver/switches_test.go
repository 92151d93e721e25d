package resolver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

const (
	ownSwitches = `
gray: v1
switches:
  dark: {value: true}
  limit: {value: 20}
  rate: {value: 0.5}
  text: {value: "on"}
  staff:
    value: false
    rules:
    - {name: mine, when: {caller.zone: a, header.x-user-type: staff}, value: true}
    - {name: lane, when: {lane: blue}, value: true}
    - {name: some, sticky: user, share: 30%, value: true}
`
	globalSwitches = "gray: v1\nswitches: {limit: {value: 5}, everywhere: {value: 7}}\n"
)

func openSwitches(t *testing.T, src config.Source, opts ...Option) (*Resolver, *Switches) {
	t.Helper()
	r, err := New(memory.New(), src, opts...)
	require.NoError(t, err)
	s, err := r.Switches(order.Name)
	require.NoError(t, err)
	return r, s
}

func TestSwitchesAreTypedAndLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, ctx := newSource(), t.Context()
		r, s := openSwitches(t, src)
		defer r.Close()
		synctest.Wait()
		assert.True(t, s.Bool(ctx, "dark", true), "nothing is known: the caller's own")
		src.sayOf(config.SwitchesDocID(order.Name), ownSwitches)
		src.sayOf(config.GlobalSwitchesDocID, globalSwitches)
		require.NoError(t, s.Ready(ctx))

		assert.True(t, s.Bool(ctx, "dark", false))
		assert.Equal(t, 20, s.Int(ctx, "limit", 1), "the service's own wins")
		assert.Equal(t, 7, s.Int(ctx, "everywhere", 1))
		assert.InDelta(t, 20.0, s.Float(ctx, "limit", 1), 0)
		assert.InDelta(t, 0.5, s.Float(ctx, "rate", 1), 0)
		assert.Equal(t, "on", s.String(ctx, "text", ""))

		assert.Equal(t, 3, s.Int(ctx, "rate", 3), "not whole")
		assert.Equal(t, 3, s.Int(ctx, "text", 3), "of another type")
		assert.True(t, s.Bool(ctx, "text", true))
		assert.Equal(t, "x", s.String(ctx, "limit", "x"))
		assert.InDelta(t, 2.0, s.Float(ctx, "dark", 2), 0)
		assert.True(t, s.Bool(ctx, "unknown", true))

		src.sayOf(config.SwitchesDocID(order.Name), "gray: v1\nswitches: {limit: {value: 21}}\n")
		synctest.Wait()
		assert.Equal(t, 21, s.Int(ctx, "limit", 1))
		assert.False(t, s.Bool(ctx, "dark", false))
	})
}

func TestABadSwitchDocumentLeavesTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, log := newSource(), &errorLog{}
		r, s := openSwitches(t, src, WithHooks(log.hooks()))
		defer r.Close()
		src.sayOf(config.SwitchesDocID(order.Name), ownSwitches)
		src.sayOf(config.GlobalSwitchesDocID, "")
		require.NoError(t, s.Ready(t.Context()))
		src.sayOf(config.SwitchesDocID(order.Name), "gray: v1\nswitches: {dark: {valu: false}}\n")
		synctest.Wait()
		assert.True(t, s.Bool(t.Context(), "dark", false))
		require.Len(t, log.all(), 1)
		require.ErrorContains(t, log.all()[0], "switches.order.yaml:2:19: unknown-field")
	})
}

func TestRulesOfSwitchesAskAboutTheRequestInTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		r, s := openSwitches(t, src, WithCaller(map[string]string{"zone": "a"}))
		defer r.Close()
		src.sayOf(config.SwitchesDocID(order.Name), ownSwitches)
		src.sayOf(config.GlobalSwitchesDocID, "")
		require.NoError(t, s.Ready(t.Context()))
		on := func(ctx context.Context) bool { return s.Bool(ctx, "staff", false) }

		ctx := t.Context()
		assert.False(t, on(ctx))
		assert.True(t, on(lane.WithHeader(ctx, "x-user-type", "staff")), "what package lane carries")
		assert.True(t, on(lane.With(ctx, "blue")))
		assert.True(t, on(WithRequest(ctx, typed{})), "what a server received")
		users := 0
		for i := range 1000 {
			user := fmt.Sprint("u", i)
			carried := on(lane.WithUser(ctx, user))
			assert.Equal(t, config.Slot("staff/some", user) < 3000, carried)
			assert.Equal(t, carried, on(WithRequest(ctx, request{user: user})))
			assert.Equal(t, carried, on(lane.WithUser(WithRequest(ctx, request{user: "other"}), user)), "the application knows better")
			if carried {
				users++
			}
		}
		assert.InDelta(t, 300, users, 50)
		assert.False(t, on(WithRequest(ctx, request{lane: "blue"})), "an edge may have taken it off: the context says")
	})
}

// typed is a request of somebody of the staff.
type typed struct{ request }

func (typed) Header(n config.HeaderName) (string, bool) { return "staff", n.Lower == "x-user-type" }

func TestASubscriberOfSwitchesHearsOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		r, s := openSwitches(t, src)
		defer r.Close()
		var seen []int
		ended := make(chan error)
		go func() {
			ended <- s.Watch(t.Context(), func() { seen = append(seen, s.Int(t.Context(), "limit", -1)) })
		}()
		src.sayOf(config.GlobalSwitchesDocID, globalSwitches)
		synctest.Wait()
		assert.Empty(t, seen, "the service's own are not known yet")
		src.sayOf(config.SwitchesDocID(order.Name), ownSwitches)
		synctest.Wait()
		src.sayOf(config.SwitchesDocID(order.Name), "gray: v1\nswitches: {}\n")
		synctest.Wait()
		assert.Equal(t, []int{20, 5}, seen)
		s.Close()
		s.Close()
		require.ErrorIs(t, <-ended, ErrClosed)
		assert.Equal(t, 5, s.Int(t.Context(), "limit", -1), "what is known stays")
		require.NoError(t, s.Ready(t.Context()))
	})
}

func TestSwitchesThatAreNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := openSwitches(t, newSource())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Ready(ctx), ErrNotReady)
		require.NoError(t, r.Close())
		require.ErrorIs(t, s.Ready(t.Context()), ErrClosed)
		_, err := r.Switches("order")
		require.ErrorIs(t, err, ErrClosed)

		r, s = openSwitches(t, nil)
		defer r.Close()
		require.NoError(t, s.Ready(t.Context()), "without a source there are none")
		assert.Equal(t, 4, s.Int(t.Context(), "limit", 4))
		_, err = r.Switches("or/der")
		require.ErrorIs(t, err, registry.ErrInvalid)
	})
}

func ExampleSwitches() {
	source := newSource() // in a program: graylane.Open(ctx), and its Resolver
	source.sayOf(config.SwitchesDocID("order"), `
gray: v1
switches:
  new-checkout:
    value: false
    rules:
    - {name: staff, when: {header.x-user-type: staff}, value: true}
`)
	source.sayOf(config.GlobalSwitchesDocID, "")
	r, err := New(memory.New(), source)
	if err != nil {
		panic(err)
	}
	defer r.Close()
	switches, err := r.Switches("order")
	if err != nil {
		panic(err)
	}
	defer switches.Close()

	ctx := context.Background()
	_ = switches.Ready(ctx)
	fmt.Println(switches.Bool(ctx, "new-checkout", false))
	ctx = lane.WithHeader(ctx, "x-user-type", "staff")
	fmt.Println(switches.Bool(ctx, "new-checkout", false))
	// Output:
	// false
	// true
}
