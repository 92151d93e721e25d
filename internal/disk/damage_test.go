package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sealed appends the right checksum, so that what is before it gets read.
func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

// damages returns files that are not the one of key, by what is wrong.
func damages(key string, good []byte) map[string][]byte {
	body := good[:len(good)-sha256.Size]
	changed := func(at int, b ...byte) []byte {
		out := bytes.Clone(body)
		copy(out[at:], b)
		return sealed(out)
	}
	keyLen, dataLen := len(magic)+8, len(magic)+12
	return map[string][]byte{
		"empty":            {},
		"zeros":            make([]byte, len(good)),
		"text":             []byte("{}"),
		"trailing byte":    append(bytes.Clone(good), 0),
		"sealed trailing":  sealed(append(bytes.Clone(body), 0)),
		"sealed cut":       sealed(body[:len(body)-1]),
		"sealed header":    sealed(body[:headerSize]),
		"twice":            append(bytes.Clone(good), good...),
		"another version":  changed(len(magic)-2, '2'),
		"another key":      encode(key+"x", []byte("data"), time.Now()),
		"key and data":     encode(key[:1], append([]byte(key[1:]), "data"...), time.Now()),
		"key of 4 GiB":     changed(keyLen, 0xff, 0xff, 0xff, 0xff),
		"data of 4 GiB":    changed(dataLen, 0xff, 0xff, 0xff, 0xff),
		"lengths that sum": changed(keyLen, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9),
		"too large":        make([]byte, maxFile+1),
	}
}

func TestEveryCutAndEveryFlipIsAbsent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	const key = "user@@orders"
	path := filepath.Join(dir, fileName(key))
	good := encode(key, []byte(`[{"ip":"10.0.0.1"}]`), time.Now())

	absent := func(file []byte, what string, at int) {
		require.NoError(t, os.WriteFile(path, file, 0o600))
		data, saved, ok := s.Load(key)
		require.False(t, ok, "%s at %d", what, at)
		require.Nil(t, data)
		require.True(t, saved.IsZero())
		require.Equal(t, []string{fileName(key) + badSuffix}, names(t, dir), "put aside, one per key: %s at %d", what, at)
	}
	for n := range good {
		absent(good[:n], "cut", n)
	}
	for bit := range 8 * len(good) {
		file := bytes.Clone(good)
		file[bit/8] ^= 1 << (bit % 8)
		absent(file, "flipped", bit)
	}
	for what, file := range damages(key, good) {
		absent(file, what, 0)
	}

	require.NoError(t, os.WriteFile(path, good, 0o600))
	_, _, ok := s.Load(key)
	assert.True(t, ok, "the same file undamaged is an answer")
}

func TestSavedAgainAfterDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	path := filepath.Join(dir, fileName("a"))
	size := len(encode("a", []byte("data"), time.Now()))
	for _, damage := range [][]byte{nil, make([]byte, size)} {
		require.NoError(t, s.Save("a", []byte("data")))
		plant(t, path, damage, time.Now().Add(-time.Hour))
		require.NoError(t, s.Save("a", []byte("data")))
		_, _, ok := s.Load("a")
		assert.True(t, ok, "what this process knew was no longer there")
	}
}

func TestPutAsideSparesANewerFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	path := filepath.Join(dir, fileName("a"))
	require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o600))
	bad, err := os.Lstat(path)
	require.NoError(t, err)
	held, err := os.Open(path) // keeps the number of the file from being used again
	require.NoError(t, err)
	defer held.Close()

	require.NoError(t, other.Save("a", []byte("data"))) // after the damage was read, before it is put aside
	s.putAside(fileName("a"), bad)
	_, _, ok := s.Load("a")
	assert.True(t, ok)
}

func TestPutAsideOverADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, fileName("a")+badSuffix, "full"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName("a")), []byte("damaged"), 0o600))
	_, _, ok := s.Load("a")
	assert.False(t, ok)
	assert.NoFileExists(t, filepath.Join(dir, fileName("a")), "removed, since it cannot be kept")
}

func TestEveryTimeSurvives(t *testing.T) {
	t.Parallel()
	for _, nanos := range []int64{0, -1, 1, -1 << 63, 1<<63 - 1} {
		_, saved, ok := decode(encode("k", nil, time.Unix(0, nanos)), "k")
		require.True(t, ok)
		assert.Equal(t, nanos, saved.UnixNano())
	}
}

func FuzzDecode(f *testing.F) {
	const key = "user@@orders"
	good := encode(key, []byte(`[{"ip":"10.0.0.1"}]`), time.Unix(1, 2))
	f.Add(good, key)
	for _, file := range damages(key, good) {
		if len(file) < 1000 {
			f.Add(file, key)
			f.Add(file[:max(0, len(file)-sha256.Size)], key)
		}
	}
	f.Add(encode("", nil, time.Unix(0, 0)), "")
	f.Add(encode(strings.Repeat("../", 100), []byte{0}, time.Unix(0, -1)), strings.Repeat("../", 100))
	f.Fuzz(func(t *testing.T, file []byte, key string) {
		for _, file := range [][]byte{file, sealed(file)} {
			data, saved, ok := decode(file, key)
			if !ok {
				if data != nil || !saved.IsZero() {
					t.Fatal("an answer that is none")
				}
				continue
			}
			if !bytes.Equal(encode(key, data, saved), file) {
				t.Fatal("believed a file that encode did not make")
			}
		}
		if len(key) > MaxKey || len(file) > MaxSize {
			return
		}
		data, _, ok := decode(encode(key, file, time.Unix(0, int64(len(file)))), key)
		if !ok || !bytes.Equal(data, file) {
			t.Fatal("lost an entry")
		}
		if kindOf(key) != foreign && len(key) < hashLen {
			t.Fatal("claimed a foreign name")
		}
	})
}

// pattern returns data of n bytes that says which write it is of, in every byte.
func pattern(write uint64, size int) []byte {
	data := bytes.Repeat([]byte{byte(write)}, size)
	binary.BigEndian.PutUint64(data, write)
	return data
}

// checkPattern returns which write the data is of, and fails unless all of it is.
func checkPattern(t *testing.T, data []byte, size int) uint64 {
	t.Helper()
	if len(data) != size {
		t.Errorf("%d bytes, want %d", len(data), size)
		return 0
	}
	write := binary.BigEndian.Uint64(data)
	assert.True(t, bytes.Equal(pattern(write, size), data), "parts of two writes")
	return write
}
