package lane_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/lane"
)

// TestALaneFollowsItsContextIntoGoroutines: a thousand requests at once, each with a lane
// of its own, hand their work to others in the ways that programs have.
func TestALaneFollowsItsContextIntoGoroutines(t *testing.T) {
	const requests = 1000
	type job struct {
		ctx  context.Context
		done chan string
	}
	jobs := make(chan job)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for j := range jobs {
				j.done <- lane.From(j.ctx)
			}
		})
	}
	for name, hand := range map[string]func(ctx context.Context, done chan string){
		"goroutine": func(ctx context.Context, done chan string) {
			go func() { done <- lane.From(ctx) }()
		},
		"group with a context of its own": func(ctx context.Context, done chan string) {
			ctx, cancel := context.WithCancelCause(ctx)
			var g sync.WaitGroup
			g.Go(func() { done <- lane.From(ctx) })
			g.Wait()
			cancel(nil)
		},
		"time.AfterFunc": func(ctx context.Context, done chan string) {
			time.AfterFunc(time.Microsecond, func() { done <- lane.From(ctx) })
		},
		"worker behind a channel": func(ctx context.Context, done chan string) { jobs <- job{ctx, done} },
		"context.WithoutCancel": func(ctx context.Context, done chan string) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			go func(ctx context.Context) { done <- lane.From(ctx) }(context.WithoutCancel(ctx))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for i := range requests {
				wg.Go(func() {
					want := fmt.Sprint("lane-", i)
					done := make(chan string, 1)
					hand(lane.With(t.Context(), want), done)
					assert.Equal(t, want, <-done)
				})
			}
			wg.Wait()
		})
	}
	close(jobs)
	workers.Wait()
	assert.Empty(t, lane.From(context.Background()), "a context that was not handed on has none") //nolint:usetesting // that is the case
}

// TestValuesThatAreTooLargeEndTheirTravel: they are neither read nor sent on, and what
// else the message says is.
func TestValuesThatAreTooLargeEndTheirTravel(t *testing.T) {
	for _, size := range []int{lane.MaxValue + 1, 8 << 10, 64 << 10, 1 << 20} {
		large := strings.Repeat("a", size)
		for name, h := range map[string]message{
			"lane":              {lane.HeaderLane: {large}},
			"version":           {lane.HeaderVersion: {large}},
			"user":              {lane.HeaderUser: {large}},
			"tag":               {lane.HeaderTag: {large}},
			"lane and baggage":  {lane.HeaderLane: {large}, lane.HeaderBaggage: {"gray-lane=blue"}},
			"lane in baggage":   {lane.HeaderBaggage: {"gray-lane=" + large}},
			"lane of baggage":   {lane.HeaderBaggage: {strings.Repeat("b", max(size, 8<<10)) + "=c,gray-lane=blue"}},
			"lines of baggage":  {lane.HeaderBaggage: append(strings.SplitAfter(strings.Repeat("b=c,", 2048), ","), "gray-lane=blue")},
			"each of the lanes": {lane.HeaderLane: {large, large}},
		} {
			h.Set(lane.HeaderUserType, "staff")
			ctx := lane.Extract(t.Context(), h, lane.DefaultHeaders())
			assert.Empty(t, lane.From(ctx), "%s of %d bytes", name, size)
			out := message{}
			lane.Inject(ctx, out)
			assert.Equal(t, message{lane.HeaderUserType: {"staff"}}, out, "%s of %d bytes", name, size)
		}
	}
}
