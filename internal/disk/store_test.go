package disk

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// plant writes a file as another process would have left it.
func plant(t *testing.T, path string, content []byte, mod time.Time) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, os.Chtimes(path, mod, mod))
}

// tree returns everything below dir, files with their content and links with
// their target.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		content := d.Type().String()
		switch {
		case d.Type().IsRegular():
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content += string(raw)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			content += target
		}
		out[path] = content
		return nil
	}))
	return out
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// hostileKeys are names as a hostile server or operator would choose them.
func hostileKeys() []string {
	return []string{
		"", ".", "..", "../../etc/passwd", "/etc/passwd", `..\..\x`, `C:\x`, "a/b", "a\x00b", "\xff\xfe", "CON", "a:b",
		strings.Repeat("../", 3500), strings.Repeat("k", 10_000), strings.Repeat("k", MaxKey), fileName("x"), fileName("x") + badSuffix,
	}
}

func TestWhatWasSavedIsLoaded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	s := open(t, dir)
	_, _, ok := s.Load("a")
	assert.False(t, ok)

	before := time.Now()
	for _, data := range []string{"one", "", "two", strings.Repeat("x", MaxSize)} {
		require.NoError(t, s.Save("a", []byte(data)))
		for _, from := range []*Store{s, open(t, dir)} {
			got, saved, ok := from.Load("a")
			require.True(t, ok)
			assert.Equal(t, data, string(got))
			assert.False(t, saved.Before(before) || saved.After(time.Now()))
		}
	}
	assert.Equal(t, []string{fileName("a")}, names(t, dir), "one file per key and no leftover")
}

func TestDataBelongsToTheCaller(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	in := []byte("kept")
	require.NoError(t, s.Save("a", in))
	in[0] = 'X'
	got, _, ok := s.Load("a")
	require.True(t, ok)
	assert.Equal(t, len(got), cap(got))
	got[0] = 'Y'
	got, _, ok = s.Load("a")
	require.True(t, ok)
	assert.Equal(t, "kept", string(got))
}

func TestHostileKeysStayInside(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	dir := filepath.Join(outer, "cache")
	plant(t, filepath.Join(outer, "passwd"), []byte("secret"), time.Now())
	s := open(t, dir)
	before := tree(t, outer)

	keys := hostileKeys()
	for _, key := range keys {
		require.NoError(t, s.Save(key, []byte("data of "+key)), "%.40q", key)
	}
	for _, key := range keys {
		got, _, ok := s.Load(key)
		require.True(t, ok, "%.40q", key)
		assert.Equal(t, "data of "+key, string(got))
	}
	for _, name := range names(t, dir) {
		assert.Equal(t, state, kindOf(name), name)
	}
	after := tree(t, outer)
	maps.DeleteFunc(after, func(path, _ string) bool { return filepath.Dir(path) == dir })
	assert.Equal(t, before, after)
}

func TestPlantedLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	dir := filepath.Join(outer, "cache")
	s := open(t, dir)
	victim := filepath.Join(outer, "victim")
	plant(t, victim, encode("a", []byte("outside"), time.Now()), time.Now())
	require.NoError(t, s.Save("b", []byte("inside")))

	for _, target := range []string{victim, filepath.Join("..", "victim"), fileName("b"), "nowhere"} {
		link := filepath.Join(dir, fileName("a"))
		require.NoError(t, os.Symlink(target, link))
		_, _, ok := s.Load("a")
		require.False(t, ok, target)
		assert.NoFileExists(t, link, "the link is removed")

		require.NoError(t, os.Symlink(target, link))
		require.NoError(t, s.Save("a", []byte("ours")))
		info, err := os.Lstat(link)
		require.NoError(t, err)
		assert.True(t, info.Mode().IsRegular(), "the link is replaced, not followed")
		require.NoError(t, os.Remove(link))
	}
	raw, err := os.ReadFile(victim)
	require.NoError(t, err)
	assert.Equal(t, encode("a", []byte("outside"), time.Now())[headerSize:len(raw)-32], raw[headerSize:len(raw)-32])
	got, _, ok := s.Load("b")
	require.True(t, ok)
	assert.Equal(t, "inside", string(got))
}

func TestSameDataIsWrittenOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName("a"))
	stat := func() fs.FileInfo {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info
	}
	data := []byte("data")
	s := open(t, dir)
	require.NoError(t, s.Save("a", data))
	first := stat()
	require.NoError(t, s.Save("a", data))
	assert.True(t, os.SameFile(first, stat()), "nothing changed: not written")

	other := open(t, dir)
	_, _, ok := other.Load("a")
	require.True(t, ok)
	require.NoError(t, other.Save("a", data))
	assert.True(t, os.SameFile(first, stat()), "known from Load: not written")

	require.NoError(t, other.Save("a", []byte("theirs")))
	require.NoError(t, s.Save("a", data))
	got, _, ok := other.Load("a")
	require.True(t, ok)
	assert.Equal(t, data, got, "another process wrote between: written again")

	last := stat()
	require.NoError(t, other.Save("a", []byte("atad")))
	require.NoError(t, os.Chtimes(path, last.ModTime(), last.ModTime()))
	require.NoError(t, s.Save("a", data))
	got, _, ok = other.Load("a")
	require.True(t, ok)
	assert.Equal(t, data, got, "of the same size within a tick of the clock: written again")

	require.NoError(t, os.Remove(path))
	require.NoError(t, s.Save("a", data))
	assert.FileExists(t, path, "removed: written again")

	for _, age := range []time.Duration{refreshAfter + time.Second, refreshAfter - time.Minute} {
		plant(t, path, encode("a", data, time.Now().Add(-age)), time.Now())
		planted := stat()
		_, _, ok = s.Load("a")
		require.True(t, ok)
		require.NoError(t, s.Save("a", data))
		assert.Equal(t, age < refreshAfter, os.SameFile(planted, stat()), "written again when older than an hour: %v", age)
	}
}

func TestDirectoryRemovedWhileRunning(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	s := open(t, dir)
	require.NoError(t, s.Save("a", []byte("data")))
	require.NoError(t, os.RemoveAll(dir))
	_, _, ok := s.Load("a")
	assert.False(t, ok)
	require.NoError(t, s.Save("a", []byte("data")))
	got, _, ok := open(t, dir).Load("a")
	require.True(t, ok, "made again")
	assert.Equal(t, "data", string(got))

	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	require.ErrorContains(t, s.Save("a", []byte("next")), "disk: ")
	_, _, ok = s.Load("a")
	assert.False(t, ok)
	require.NoError(t, os.Remove(dir))
	require.NoError(t, s.Save("a", []byte("next")), "and recovers")
}

func TestFailedRenameLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	blocked := filepath.Join(dir, fileName("a"))
	require.NoError(t, os.MkdirAll(filepath.Join(blocked, "full"), 0o700))
	require.ErrorContains(t, s.Save("a", []byte("data")), "disk: not saved")
	_, _, ok := s.Load("a")
	assert.False(t, ok)
	assert.Equal(t, []string{fileName("a")}, names(t, dir), "no temporary file")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{"", file, filepath.Join(file, "below"), "a\x00b"} {
		s, err := Open(dir)
		require.ErrorContains(t, err, "disk: ")
		assert.Nil(t, s)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	require.NoError(t, s.Save("a", []byte("data")))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Save("a", []byte("data")), ErrClosed)
	_, _, ok := s.Load("a")
	assert.False(t, ok)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	require.NoError(t, first.Save("a", pattern(0, 5000)))
	var wg sync.WaitGroup
	for worker, s := range []*Store{first, first, second, second} {
		wg.Go(func() {
			for i := range 250 {
				assert.NoError(t, s.Save("a", pattern(uint64(4*i+worker), 5000)))
				assert.NoError(t, s.Save(strconv.Itoa(i%50), bytes.Repeat([]byte{'x'}, worker)))
			}
		})
		wg.Go(func() {
			for range 1000 {
				data, _, ok := s.Load("a")
				if !assert.True(t, ok, "absent or mixed") {
					return
				}
				checkPattern(t, data, 5000)
			}
		})
	}
	wg.Wait()
	for _, name := range names(t, dir) {
		assert.Equal(t, state, kindOf(name), name)
	}
}
