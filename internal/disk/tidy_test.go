package disk

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFutureIsNow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	future := time.Now().Add(50 * 365 * 24 * time.Hour)
	path := filepath.Join(dir, fileName("a"))
	plant(t, path, encode("a", []byte("data"), future), future)

	s := open(t, dir)
	_, saved, ok := s.Load("a")
	require.True(t, ok)
	assert.WithinRange(t, saved, time.Now().Add(-time.Minute), time.Now())
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.False(t, info.ModTime().After(time.Now()), "it ages from now on")
}

func TestOpenRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	old, young := now.Add(-maxAge-time.Hour), now.Add(-maxAge+time.Hour)
	for name, mod := range map[string]time.Time{
		fileName("old"):                                     old,
		fileName("old") + badSuffix:                         old,
		fileName("young"):                                   young,
		fileName("young") + badSuffix:                       young,
		tempName(fileName("left")):                          now.Add(-tempAge - time.Second),
		fileName("in the making") + ".0123456789abcdef.tmp": now,
		"README":                        old,
		fileName("old") + ".tmp":        old,
		fileName("old")[1:]:             old,
		strings.ToUpper(fileName("up")): old,
	} {
		plant(t, filepath.Join(dir, name), nil, mod)
	}
	open(t, dir)
	want := []string{
		fileName("young"), fileName("young") + badSuffix, fileName("in the making") + ".0123456789abcdef.tmp",
		"README", fileName("old") + ".tmp", fileName("old")[1:], strings.ToUpper(fileName("up")), // not ours
	}
	slices.Sort(want)
	assert.Equal(t, want, names(t, dir))
}

func TestBoundOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, key := range []string{"broken", "torn"} {
		plant(t, filepath.Join(dir, fileName(key)+badSuffix), nil, time.Now())
	}
	for i := range MaxFiles {
		require.NoError(t, s.Save(strconv.Itoa(i), []byte("data")))
		if i < 20 {
			mod := time.Now().Add(time.Duration(i-1000) * time.Second)
			require.NoError(t, os.Chtimes(filepath.Join(dir, fileName(strconv.Itoa(i))), mod, mod))
		}
	}
	// The last but one passed the bound, since there were two damaged files.
	left := names(t, dir)
	assert.Len(t, left, MaxFiles-MaxFiles/slack+1)
	assert.NotContains(t, left, fileName("broken")+badSuffix, "damaged ones go first")
	for i := range 20 {
		assert.NotContains(t, left, fileName(strconv.Itoa(i)), "then the oldest")
	}
	assert.Contains(t, left, fileName(strconv.Itoa(MaxFiles-1)), "never the one just saved")
	for i := range MaxFiles/slack + 1 {
		require.NoError(t, s.Save(strconv.Itoa(i), []byte("data")))
		assert.LessOrEqual(t, len(names(t, dir)), MaxFiles)
	}
}

func TestBoundOfBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	total := func() (sum int64) {
		for _, name := range names(t, dir) {
			info, err := os.Lstat(filepath.Join(dir, name))
			require.NoError(t, err)
			sum += info.Size()
		}
		return sum
	}
	// Another process fills the directory (with holes, which cost no disk).
	for i := range 2 * MaxTotal / MaxSize {
		path := filepath.Join(dir, fileName(strconv.Itoa(i)))
		plant(t, path, nil, time.Now())
		require.NoError(t, os.Truncate(path, MaxSize))
		mod := time.Now().Add(time.Duration(i-1000) * time.Second)
		require.NoError(t, os.Chtimes(path, mod, mod))
	}
	for i := range MaxFiles / slack {
		require.NoError(t, s.Save("mine", []byte(strconv.Itoa(i))))
	}
	assert.LessOrEqual(t, total(), int64(MaxTotal), "seen after 64 writes")
	assert.NoFileExists(t, filepath.Join(dir, fileName("0")))
	assert.FileExists(t, filepath.Join(dir, fileName("127")))

	large := filepath.Join(dir, fileName("theirs"))
	plant(t, large, nil, time.Now())
	require.NoError(t, os.Truncate(large, MaxTotal))
	hourAgo := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(large, hourAgo, hourAgo))
	for i := range 3 {
		require.NoError(t, s.Save("big"+strconv.Itoa(i), make([]byte, MaxSize)))
		assert.LessOrEqual(t, total(), int64(MaxTotal), "after 4 MiB")
	}

	path := filepath.Join(dir, fileName("127"))
	require.NoError(t, os.Truncate(path, MaxSize+MaxTotal-total()))
	s = open(t, dir)
	require.Equal(t, int64(MaxTotal), total())
	require.NoError(t, s.Save("small", nil))
	assert.LessOrEqual(t, total(), int64(MaxTotal), "at once by a write of its own")

	require.NoError(t, os.Truncate(path, 2*MaxTotal))
	open(t, dir)
	assert.LessOrEqual(t, total(), int64(MaxTotal), "by Open")
}

// fill makes n files of ours, all of now: names of one file, which is quick.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	first := filepath.Join(dir, fileName("0"))
	plant(t, first, nil, time.Now())
	for i := 1; i < n; i++ {
		require.NoError(t, os.Link(first, filepath.Join(dir, fileName(strconv.Itoa(i)))))
	}
	now := time.Now()
	require.NoError(t, os.Chtimes(first, now, now))
}

func TestRewritesCostNoOtherState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir, MaxFiles-1)
	s := open(t, dir)
	for i := range MaxFiles/slack + 6 {
		require.NoError(t, s.Save("mine", []byte(strconv.Itoa(i))))
		assert.Equal(t, MaxFiles, s.counts.files)
	}
	assert.Len(t, names(t, dir), MaxFiles, "at the bound, not over it")

	require.NoError(t, s.Save("mine", make([]byte, 1000)))
	counted := s.counts.bytes
	require.NoError(t, s.tidy(""))
	assert.Equal(t, s.counts.bytes, counted, "counted as it is")
}

func TestTidySparesWhatIsInTheMaking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, dir, MaxFiles)
	making, older := tempName(fileName("making")), time.Now().Add(-tempAge/2)
	plant(t, filepath.Join(dir, making), nil, older)
	plant(t, filepath.Join(dir, fileName("just saved")), nil, older)
	require.NoError(t, s.tidy(fileName("just saved")))
	left := names(t, dir)
	assert.Len(t, left, MaxFiles-MaxFiles/slack)
	assert.Contains(t, left, making)
	assert.Contains(t, left, fileName("just saved"))
}

func TestBoundOfOneEntry(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	require.NoError(t, s.Save("a", []byte("old")))
	require.ErrorContains(t, s.Save("a", make([]byte, MaxSize+1)), "disk: not saved")
	got, _, ok := s.Load("a")
	require.True(t, ok)
	assert.Equal(t, "old", string(got))

	require.ErrorContains(t, s.Save(strings.Repeat("k", MaxKey+1), nil), "disk: not saved")
	_, _, ok = s.Load(strings.Repeat("k", MaxKey+1))
	assert.False(t, ok)

	largest := strings.Repeat("k", MaxKey)
	require.NoError(t, s.Save(largest, make([]byte, MaxSize)))
	got, _, ok = s.Load(largest)
	require.True(t, ok)
	assert.Len(t, got, MaxSize)
	path := filepath.Join(s.dir, fileName(largest))
	require.NoError(t, os.Truncate(path, int64(maxFile)+1))
	_, _, ok = s.Load(largest)
	assert.False(t, ok, "one byte more")
}

func TestKnownIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for i := range MaxFiles + 1 {
		s.remember(strconv.Itoa(i), written{})
	}
	assert.Len(t, s.known, 1)
}
