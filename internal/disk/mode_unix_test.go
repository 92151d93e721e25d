//go:build unix

package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	s := open(t, dir)
	require.NoError(t, s.Save("a", []byte("data")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName("b")), []byte("damaged"), 0o600))
	_, _, ok := s.Load("b")
	require.False(t, ok)

	for path, want := range map[string]fs.FileMode{
		dir:                               fs.ModeDir | 0o700,
		filepath.Join(dir, fileName("a")): 0o600,
		filepath.Join(dir, fileName("b")+badSuffix): 0o600,
	} {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode(), path)
	}
}

func TestOpenRefusesWhatOthersMayWrite(t *testing.T) {
	t.Parallel()
	for mode, want := range map[fs.FileMode]bool{0o700: true, 0o755: true, 0o770: false, 0o707: false, 0o777: false} {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, mode)) // past the umask
		s, err := Open(dir)
		if want {
			require.NoError(t, err)
			require.NoError(t, s.Close())
			continue
		}
		require.ErrorContains(t, err, "disk: "+dir+" belongs to another user, or others may write to it")
	}
}

// foreignDir returns a directory that is not ours.
func foreignDir(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return "/" // root's
	}
	dir := t.TempDir()
	require.NoError(t, os.Chown(dir, 65534, 65534))
	return dir
}

func TestOpenRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	foreign, links := foreignDir(t), t.TempDir()
	for name, target := range map[string]string{"foreign": foreign, "ours": t.TempDir()} {
		require.NoError(t, os.Symlink(target, filepath.Join(links, name)))
	}
	for _, dir := range []string{foreign, filepath.Join(links, "foreign")} {
		_, err := Open(dir)
		require.ErrorContains(t, err, "belongs to another user")
	}
	open(t, filepath.Join(links, "ours"))
	if os.Geteuid() == 0 { // only root can give a link away; TestWhomWeTrust has the rule
		require.NoError(t, os.Lchown(filepath.Join(links, "ours"), 65534, 65534))
		_, err := Open(filepath.Join(links, "ours"))
		require.ErrorContains(t, err, "is a symbolic link of another user")
	}
}

// owned is a file of some user.
type owned struct {
	fs.FileInfo
	uid  uint32
	mode fs.FileMode
}

func (o owned) Sys() any          { return &syscall.Stat_t{Uid: o.uid} }
func (o owned) Mode() fs.FileMode { return o.mode }

func TestWhomWeTrust(t *testing.T) {
	t.Parallel()
	me := uint32(os.Geteuid())
	assert.True(t, private(owned{uid: me, mode: 0o644}))
	assert.False(t, private(owned{uid: me, mode: 0o620}))
	assert.False(t, private(owned{uid: me + 1, mode: 0o600}))
	assert.True(t, trustedLink(owned{uid: me, mode: 0o777}))
	assert.True(t, trustedLink(owned{uid: 0, mode: 0o777}))
	assert.False(t, trustedLink(owned{uid: me + 1, mode: 0o777}))
}

func TestLoadRefusesWhatOthersMayWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	path := filepath.Join(dir, fileName("a"))
	plant(t, path, encode("a", []byte("data"), time.Now()), time.Now())
	require.NoError(t, os.Chmod(path, 0o666))
	_, _, ok := s.Load("a")
	assert.False(t, ok)

	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, _, ok = s.Load("a") // does not wait for a writer
	assert.False(t, ok)
	assert.NoFileExists(t, path)
}
