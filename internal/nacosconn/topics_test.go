package nacosconn

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echo publishes what is put.
func echo(runs *atomic.Int64) func(context.Context, string, *Topic[int, int]) {
	return func(ctx context.Context, _ string, p *Topic[int, int]) {
		runs.Add(1)
		for {
			select {
			case v := <-p.In():
				p.Publish(v)
			case <-ctx.Done():
				return
			}
		}
	}
}

func TestWatchersShareOneLoopPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		topics := NewTopics(echo(&runs))
		defer topics.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		got := make(chan int, 10)
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- topics.Watch(ctx, "a", func(v int) { got <- v }) }()
		}
		synctest.Wait()
		topics.Find("a").Put(7)
		assert.Equal(t, 7, <-got)
		assert.Equal(t, 7, <-got)
		assert.EqualValues(t, 1, runs.Load())
		assert.EqualValues(t, 1, topics.Find("a").Puts())
		assert.Nil(t, topics.Find("b"))

		late, stop := context.WithCancel(t.Context())
		go func() { ended <- topics.Watch(late, "a", func(v int) { got <- -v }) }()
		assert.Equal(t, -7, <-got, "a late watcher gets what is known")
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)

		why := errors.New("why")
		cancel(why)
		require.ErrorIs(t, <-ended, why)
		require.ErrorIs(t, <-ended, why)
		synctest.Wait()
		assert.Nil(t, topics.Find("a"), "nobody watches")
	})
}

func TestLoopRunsAgainForWhoComesWhileItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		clean := make(chan struct{})
		topics := NewTopics(func(ctx context.Context, _ string, p *Topic[int, int]) {
			if runs.Add(1) == 1 {
				p.Publish(1)
			} else {
				p.Publish(<-p.In())
			}
			<-ctx.Done()
			<-clean
		})
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan int, 10)
		first := make(chan error, 1)
		go func() { first <- topics.Watch(ctx, "a", func(v int) { got <- v }) }()
		assert.Equal(t, 1, <-got)
		cancel()
		require.ErrorIs(t, <-first, context.Canceled)
		second, third := make(chan error, 1), make(chan error, 1)
		go func() { second <- topics.Watch(t.Context(), "a", func(v int) { got <- v }) }()
		synctest.Wait()
		<-got // of the run that ends
		close(clean)
		synctest.Wait()
		go func() { third <- topics.Watch(t.Context(), "a", func(v int) { got <- v }) }()
		synctest.Wait()
		assert.Empty(t, got, "what the last run knew may be wrong by now")
		topics.Find("a").Put(2)
		assert.Equal(t, 2, <-got)
		assert.Equal(t, 2, <-got)
		topics.Close()
		require.ErrorIs(t, <-third, ErrClosed)
		require.ErrorIs(t, <-second, ErrClosed)
		require.ErrorIs(t, topics.Watch(t.Context(), "a", func(int) {}), ErrClosed)
	})
}

func TestSlowWatcherGetsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		topics := NewTopics(echo(&runs))
		defer topics.Close()
		ctx, cancel := context.WithCancel(t.Context())
		got, block := make(chan int, 10), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- topics.Watch(ctx, "a", func(v int) {
				got <- v
				<-block
			})
		}()
		synctest.Wait()
		for i := range 5 {
			topics.Find("a").Put(i)
			synctest.Wait()
		}
		close(block)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		assert.Equal(t, 0, <-got)
		assert.Equal(t, 4, <-got)
		assert.Empty(t, got)
	})
}

func TestConfirmedIsWhenTheServerSaidLastThatNothingHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := NewTopics(func(ctx context.Context, _ string, p *Topic[int, int]) {
			for {
				select {
				case v := <-p.In():
					if v == 0 {
						p.Confirm()
					} else {
						p.Publish(v)
					}
				case <-ctx.Done():
					return
				}
			}
		})
		defer topics.Close()
		confirmed := func(want time.Time, ok bool) {
			t.Helper()
			synctest.Wait()
			at, known := topics.Confirmed("k")
			assert.Equal(t, want, at)
			assert.Equal(t, ok, known)
		}
		confirmed(time.Time{}, false)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = topics.Watch(ctx, "k", func(int) {}) }()
		confirmed(time.Time{}, false)
		for _, v := range []int{0, 1, 0, 2} {
			time.Sleep(time.Second) //nolint:forbidigo // inside a bubble
			topics.Find("k").Put(v)
			if v == 0 {
				synctest.Wait()
				continue
			}
			confirmed(time.Now(), true)
		}
		time.Sleep(time.Second) //nolint:forbidigo // inside a bubble
		topics.Find("k").Put(0)
		confirmed(time.Now(), true)
		cancel()
		confirmed(time.Time{}, false)
	})
}
