package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/config/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ExampleNew() {
	err := func() error {
		path, err := os.MkdirTemp("", "rules")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(path) }()
		docs, err := file.New(path)
		if err != nil {
			return err
		}

		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		id := config.ServiceDocID("order")
		if err := docs.Publish(ctx, id, []byte("gray: v1\ndefault: v1\n"), ""); err != nil {
			return err
		}
		return docs.Watch(ctx, id, func(doc config.Doc) {
			rules, problems := config.ParseRules(id, "order", doc.Content)
			fmt.Println(rules.Default, problems.Err())
			stop()
		})
	}()
	fmt.Println(err)
	// Output:
	// v1 <nil>
	// context canceled
}

const id = "gray.order.yaml"

func open(t *testing.T) (docs *file.Dir, path string) {
	t.Helper()
	path = t.TempDir()
	docs, err := file.New(path, file.WithInterval(time.Millisecond))
	require.NoError(t, err)
	return docs, path
}

// watch returns what a watch reports. It ends with the test.
func watch(t *testing.T, docs *file.Dir) <-chan config.Doc {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan config.Doc, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		assert.ErrorIs(t, docs.Watch(ctx, id, func(d config.Doc) { reports <- d }), context.Canceled)
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return reports
}

func next(t *testing.T, reports <-chan config.Doc) config.Doc {
	t.Helper()
	select {
	case d := <-reports:
		return d
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing was reported")
		return config.Doc{}
	}
}

func TestWatchReportsTheFirstStateAndEachChange(t *testing.T) {
	docs, path := open(t)
	reports := watch(t, docs)
	assert.Equal(t, config.Doc{State: config.Absent}, next(t, reports), "no file")

	require.NoError(t, docs.Publish(t.Context(), id, []byte("a"), ""))
	assert.Equal(t, config.Doc{Content: []byte("a"), MD5: "0cc175b9c0f1b6a831c399e269772661", State: config.Present}, next(t, reports))

	// The same size, and the time of the first: only the content tells.
	info, err := os.Stat(filepath.Join(path, id))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(path, "b"), []byte("b"), 0o600))
	require.NoError(t, os.Chtimes(filepath.Join(path, "b"), info.ModTime(), info.ModTime()))
	require.NoError(t, os.Rename(filepath.Join(path, "b"), filepath.Join(path, id)))
	assert.Equal(t, []byte("b"), next(t, reports).Content)

	require.NoError(t, os.Remove(filepath.Join(path, id)))
	assert.Equal(t, config.Absent, next(t, reports).State, "deleted")

	require.NoError(t, docs.Publish(t.Context(), id, []byte("c"), ""))
	assert.Equal(t, []byte("c"), next(t, reports).Content)
	require.NoError(t, docs.Publish(t.Context(), id, nil, ""))
	assert.Equal(t, config.Absent, next(t, reports).State, "empty")
	assert.Empty(t, reports, "a state was reported twice")
}

func TestWatchShowsThatADocumentIsTooLarge(t *testing.T) {
	docs, _ := open(t)
	require.NoError(t, docs.Publish(t.Context(), id, []byte(strings.Repeat("#", config.MaxDocument+10)), ""))
	doc := next(t, watch(t, docs))
	assert.Len(t, doc.Content, config.MaxDocument+1)
	_, problems := config.ParseRules(id, "order", doc.Content)
	assert.ErrorContains(t, problems.Err(), "too-large")
}

func TestWatchOutlivesAFileThatCannotBeRead(t *testing.T) {
	docs, path := open(t)
	require.NoError(t, docs.Publish(t.Context(), id, []byte("a"), ""))
	reports := watch(t, docs)
	assert.Equal(t, []byte("a"), next(t, reports).Content)

	// A directory in the file's place cannot be read, by root neither.
	aside, mark := filepath.Join(path, "aside"), filepath.Join(path, id)
	require.NoError(t, os.Rename(mark, aside))
	require.NoError(t, os.Mkdir(mark, 0o700))
	require.Error(t, docs.Watch(t.Context(), id, func(config.Doc) {}), "at first it is an error")
	require.NoError(t, os.Remove(mark))
	require.NoError(t, os.WriteFile(aside, []byte("b"), 0o600))
	require.NoError(t, os.Rename(aside, mark))
	for doc := next(t, reports); string(doc.Content) != "b"; doc = next(t, reports) {
		assert.Equal(t, config.Absent, doc.State, "between the renames there was no file")
	}
}

func TestPublishComparesAndSwaps(t *testing.T) {
	docs, path := open(t)
	first := config.NewDoc([]byte("first"))
	require.ErrorIs(t, docs.Publish(t.Context(), id, []byte("x"), first.MD5), config.ErrConflict, "there is no document")
	require.NoError(t, docs.Publish(t.Context(), id, first.Content, ""))

	var wg sync.WaitGroup
	results := make(chan error, 20)
	for i := range cap(results) {
		wg.Go(func() {
			results <- docs.Publish(t.Context(), id, fmt.Append(nil, "second ", i), first.MD5)
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, config.ErrConflict)
	}
	assert.Equal(t, 1, won)

	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "a temporary file was left")
}

func TestPublishReturnsTheCauseOfAnEndedContext(t *testing.T) {
	docs, path := open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("cause")
	cancel(cause)
	require.ErrorIs(t, docs.Publish(ctx, id, []byte("a"), ""), cause)
	assert.NoFileExists(t, filepath.Join(path, id))
	assert.ErrorIs(t, docs.Watch(ctx, id, func(config.Doc) { assert.Fail(t, "called") }), cause)
}

func TestADataIDDoesNotLeaveTheDirectory(t *testing.T) {
	docs, path := open(t)
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	for _, bad := range []string{"", ".", "..", "../secret", "a/b", `a\b`, "/etc/passwd", ".hidden", "a\x00b", "a:b", "ä", strings.Repeat("a", 201)} {
		require.ErrorIs(t, docs.Publish(t.Context(), bad, []byte("a"), ""), file.ErrDataID, "%q", bad)
		require.ErrorIs(t, docs.Watch(t.Context(), bad, func(config.Doc) {}), file.ErrDataID, "%q", bad)
	}
	require.NoError(t, os.Symlink(outside, filepath.Join(path, "link")))
	require.Error(t, docs.Watch(t.Context(), "link", func(config.Doc) { assert.Fail(t, "followed the link") }))
}

func TestNewReportsEveryProblem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	_, err := file.New(path, file.WithInterval(0))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "interval 0s is not positive")

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = file.New(path)
	require.ErrorContains(t, err, "not a directory")
}
