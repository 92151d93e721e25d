package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch watches a document until the test ends. What it has seen may be looked at after
// synctest.Wait.
func watch(t *testing.T, s *configmemory.Source, dataID string) (seen *[]config.Doc) {
	t.Helper()
	seen = new([]config.Doc)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	ended, enough := make(chan error), errors.New("enough")
	go func() {
		ended <- s.Watch(ctx, dataID, func(d config.Doc) { *seen = append(*seen, d) })
	}()
	t.Cleanup(func() {
		cancel(enough)
		require.ErrorIs(t, <-ended, enough)
	})
	synctest.Wait()
	return seen
}

func TestWatchersSeeChangesOfTheirDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := configmemory.New(map[string]string{"a": "zero"})
		source.Set("a", "one")
		first, second, other := watch(t, source, "a"), watch(t, source, "a"), watch(t, source, "c")
		source.Set("b", "of nobody")
		synctest.Wait()
		time.Sleep(time.Second) //nolint:forbidigo // fake time
		changed := time.Now()
		md5 := source.Set("a", "two")
		synctest.Wait()
		source.Set("a", "two")
		synctest.Wait()
		source.Set("a", "")
		synctest.Wait()
		require.Len(t, *first, 3)
		assert.Equal(t, config.NewDoc([]byte("one")), (*first)[0], "it was there, and has not changed")
		two := config.NewDoc([]byte("two"))
		two.At = changed
		assert.Equal(t, two, (*first)[1])
		assert.Equal(t, two.MD5, md5)
		assert.Equal(t, config.Absent, (*first)[2].State)
		assert.Equal(t, *first, *second)
		assert.Equal(t, []config.Doc{{}}, *other, "that there is none is a state")
		now, ok := source.Synced("a")
		assert.True(t, ok)
		assert.Equal(t, time.Now(), now)
	})
}

func TestPublishComparesAndCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := configmemory.New(nil)
		seen := watch(t, source, "a")
		content := []byte("one")
		require.NoError(t, source.Publish(t.Context(), "a", content, ""))
		content[0] = 'O'
		synctest.Wait()
		one := (*seen)[1]
		assert.Equal(t, "one", string(one.Content))
		require.NoError(t, source.Publish(t.Context(), "a", []byte("two"), one.MD5))
		require.ErrorIs(t, source.Publish(t.Context(), "a", []byte("three"), one.MD5), config.ErrConflict)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, source.Publish(ctx, "a", []byte("four"), ""), context.Canceled)
		synctest.Wait()
		require.Len(t, *seen, 3)
		assert.Equal(t, "two", string((*seen)[2].Content))
	})
}
