package disk

import (
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A full disk, as the kernel shows it: a limit on the size of a file lets it take
// a part of a write and refuse the rest. The limit is the process's, so that this
// test runs in one of its own: go test writes files in this one.
func TestFullDiskKeepsTheOldState(t *testing.T) {
	const alone = "GRAYLANE_DISK_TEST_ALONE"
	if os.Getenv(alone) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), alone+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	limit := func(bytes uint64) {
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: before.Max}))
	}
	defer limit(before.Cur)

	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, s.Save("a", []byte("old")))
	size := len(encode("a", []byte("new"), time.Now()))
	for room := range size + 1 {
		limit(uint64(room))
		err := s.Save("a", []byte("new"))
		limit(before.Cur)
		want := "new"
		if room < size {
			want = "old"
			require.ErrorContains(t, err, "disk: not saved", "room for %d bytes", room)
			require.ErrorIs(t, err, syscall.EFBIG)
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, []string{fileName("a")}, names(t, dir), "no temporary file, nothing put aside")
		for _, from := range []*Store{s, open(t, dir)} {
			got, _, ok := from.Load("a")
			require.True(t, ok)
			require.Equal(t, want, string(got))
		}
	}
}

// unprivileged runs fn as a user who may not write to a directory of mode 0500:
// on a thread of its own, which ends with it.
func unprivileged(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if os.Geteuid() == 0 {
			_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		}
		fn()
	}()
	<-done
}

func TestUnwritableDirectoryKeepsTheOldState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, s.Save("a", []byte("old")))
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, 65534, 65534))
	}
	require.NoError(t, os.Chmod(dir, 0o500))
	var err error
	unprivileged(func() { err = s.Save("a", []byte("new")) })
	require.NoError(t, os.Chmod(dir, 0o700))
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "disk: not saved")
	got, _, ok := s.Load("a")
	require.True(t, ok)
	assert.Equal(t, "old", string(got))
	assert.Equal(t, []string{fileName("a")}, names(t, dir))
}
