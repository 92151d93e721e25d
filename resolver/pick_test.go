package resolver

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

func fleet(n int) []registry.Instance {
	out := make([]registry.Instance, n)
	for i := range out {
		out[i] = instance(fmt.Sprintf("10.0.0.%d:1", i+1), "v1")
	}
	return out
}

func TestAKeyFromCodeHasOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		reg.Set(order, fleet(10)...)
		src.say("")
		r, v := open(t, reg, src, WithPolicy(config.Hash))
		defer r.Close()
		owner := func(ctx context.Context, req request) string {
			c, err := v.Pick(ctx, req, nil)
			require.NoError(t, err)
			c.Done(ctx, Outcome{})
			return c.Addr()
		}
		owners := map[string]string{}
		for i := range 1000 {
			key := fmt.Sprint("key-", i%100)
			got := owner(WithHashKey(t.Context(), key), request{})
			if was := owners[key]; was != "" {
				require.Equal(t, was, got)
			}
			owners[key] = got
		}
		all := map[string]bool{}
		for range 100 {
			all[owner(t.Context(), request{})] = true
		}
		assert.Len(t, all, 10, "without a key by weight")

		src.say("gray: v1\ndefault: v1\nbalance: {hash: user}\n")
		synctest.Wait()
		for key, want := range owners {
			require.Equal(t, want, owner(t.Context(), request{user: key}), "a field's value is hashed alike")
			require.Equal(t, want, owner(WithHashKey(t.Context(), key), request{user: "somebody"}), "code goes before the field")
		}
		src.say("gray: v1\ndefault: v1\nbalance: weighted\n")
		synctest.Wait()
		all = map[string]bool{}
		for range 100 {
			all[owner(WithHashKey(t.Context(), "one"), request{})] = true
		}
		assert.Len(t, all, 10)
	})
}

func TestLeastHearsHowAttemptsWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, fleet(3)...)
		r, v := open(t, reg, nil, WithPolicy(config.Least))
		defer r.Close()
		ctx, counts := t.Context(), map[string]int{}
		for range 300 {
			c, err := v.Pick(ctx, request{}, nil)
			require.NoError(t, err)
			counts[c.Addr()]++
			o := Outcome{Status: 200}
			if c.Addr() == "10.0.0.1:1" { // an error, and at once
				o.Status = 503
			} else {
				time.Sleep(5 * time.Millisecond) //nolint:forbidigo // fake time
			}
			c.Done(ctx, o)
		}
		assert.Less(t, counts["10.0.0.1:1"], 10, "%v", counts)

		// A stream that has begun is no load.
		var streams []Call
		for range 100 {
			c, err := v.Pick(ctx, request{}, nil)
			require.NoError(t, err)
			c.Answered()
			c.Answered()
			streams = append(streams, c)
		}
		for i := range 3 {
			assert.Zero(t, v.State().Director.Endpoint(i).InFlight())
		}
		for _, c := range streams {
			c.Done(ctx, Outcome{})
		}
		for i := range 3 {
			assert.Zero(t, v.State().Director.Endpoint(i).InFlight(), "once")
		}
	})
}

func TestFailuresAreThoseOfTheInstance(t *testing.T) {
	for _, c := range []struct {
		protocol string
		outcome  Outcome
		verdict  balancer.Verdict
	}{
		{"http", Outcome{Status: 200}, balancer.Good},
		{"http", Outcome{Status: 404}, balancer.Good},
		{"http", Outcome{Status: 500}, balancer.Good},
		{"http", Outcome{Status: 502}, balancer.Bad},
		{"http", Outcome{Status: 503}, balancer.Bad},
		{"http", Outcome{Status: 504}, balancer.Bad},
		{"http", Outcome{Err: context.DeadlineExceeded}, balancer.Bad},
		{"http", Outcome{Err: fmt.Errorf("gone: %w", context.Canceled)}, balancer.Nothing},
		{"grpc", Outcome{Err: fmt.Errorf("lost: %w", ErrUnsent)}, balancer.Nothing},
		{"http", Outcome{Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, balancer.Unreachable},
		{"http", Outcome{Err: &net.OpError{Op: "dial", Err: syscall.EMFILE}}, balancer.Nothing},
		{"http", Outcome{Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, balancer.Bad},
		{"grpc", Outcome{Status: 5}, balancer.Good},
		{"grpc", Outcome{Status: 14}, balancer.Bad},
		{"grpc", Outcome{Status: 4}, balancer.Bad},
		{"grpc", Outcome{Status: 503}, balancer.Good},
	} {
		assert.Equal(t, c.verdict, c.outcome.verdict(c.protocol), "%+v", c)
	}
}

func TestANewInstanceGrowsWithoutAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, updates := memory.New(), 0
		reg.Set(order, fleet(1)...)
		r, v := open(t, reg, nil, WithHooks(Hooks{OnUpdate: func(*View, *State) { updates++ }}))
		defer r.Close()
		require.NoError(t, v.Ready(t.Context()))
		time.Sleep(DefaultSlowStart) //nolint:forbidigo // fake time
		reg.Set(order, fleet(2)...)
		synctest.Wait()
		share := func() int {
			n := 0
			for range 1100 {
				if pick(t, v, request{}) == "10.0.0.2:1" {
					n++
				}
			}
			return n
		}
		assert.InDelta(t, 100, share(), 5)
		time.Sleep(DefaultSlowStart / 2) //nolint:forbidigo // fake time
		synctest.Wait()
		assert.InDelta(t, 1100/3, share(), 5)
		time.Sleep(DefaultSlowStart) //nolint:forbidigo // fake time
		synctest.Wait()
		assert.InDelta(t, 550, share(), 5)
		assert.Equal(t, 2, updates)
		before := v.State()
		time.Sleep(time.Hour) //nolint:forbidigo // fake time
		assert.Same(t, before, v.State(), "it has grown up")
	})
}
