package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/config/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWatchersSeeEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := memory.New(map[string]string{"a": "one"})
		ctx, cancel := context.WithCancel(t.Context())
		var seen []config.Doc
		ended := make(chan error)
		go func() {
			ended <- source.Watch(ctx, "a", func(d config.Doc) { seen = append(seen, d) })
		}()
		synctest.Wait()
		source.Set("b", "of nobody")
		synctest.Wait()
		second := time.Now()
		md5 := source.Set("a", "two")
		synctest.Wait()
		source.Set("a", "two")
		synctest.Wait()
		source.Set("a", "")
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Len(t, seen, 3)
		assert.Equal(t, config.NewDoc([]byte("one")), seen[0], "the first was there, and has not changed")
		assert.Equal(t, "two", string(seen[1].Content))
		assert.Equal(t, md5, seen[1].MD5)
		assert.Equal(t, second, seen[1].At)
		assert.Equal(t, config.Absent, seen[2].State)
	})
}

func TestADocumentThatNobodySetIsAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		ended := make(chan error)
		go func() {
			ended <- memory.New(nil).Watch(ctx, "a", func(d config.Doc) {
				told++
				assert.Equal(t, config.Doc{}, d)
			})
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		assert.Equal(t, 1, told)
	})
}
