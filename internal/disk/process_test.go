package disk

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	writerEnv  = "DISK_TEST_WRITER" // set: this process is to write in its working directory
	writerKey  = "shared"
	writerSize = 64 << 10
)

func TestMain(m *testing.M) {
	if os.Getenv(writerEnv) != "" {
		if err := write("."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// write saves one pattern after the other, going on from what is there, and
// prints the number of each once it is saved. It ends when nobody reads.
func write(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	var last uint64
	if data, _, ok := s.Load(writerKey); ok {
		last = binary.BigEndian.Uint64(data)
	}
	for n := last + 1; ; n++ {
		if err := s.Save(writerKey, pattern(n, writerSize)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
			return nil //nolint:nilerr // The reader has what it wanted.
		}
	}
}

// writer is a process that saves until it is killed.
type writer struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	acked uint64 // the last that it said to be saved
}

func startWriter(t *testing.T, dir string) *writer {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), writerEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &writer{cmd: cmd, lines: bufio.NewScanner(out)}
}

// read takes up to n acknowledgements.
func (w *writer) read(t *testing.T, n int) {
	t.Helper()
	for ; n > 0 && w.lines.Scan(); n-- {
		acked, err := strconv.ParseUint(w.lines.Text(), 10, 64)
		require.NoError(t, err)
		w.acked = acked
	}
}

func (w *writer) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, w.cmd.Process.Kill())
	w.read(t, 1<<30)
	_ = w.cmd.Wait() // killed
}

func temps(t *testing.T, dir string) int {
	t.Helper()
	return len(slices.DeleteFunc(names(t, dir), func(name string) bool { return kindOf(name) != temp }))
}

func TestKilledWriterLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	const rounds = 30
	inTheMiddle := 0
	for range rounds {
		w := startWriter(t, dir)
		w.read(t, 1+rand.IntN(5))
		left := temps(t, dir)
		for range 10_000 { // aim: a temporary file lives while it is written
			if temps(t, dir) > left {
				break
			}
		}
		w.kill(t)
		inTheMiddle += max(0, temps(t, dir)-left) // the writer may have removed older ones

		data, _, ok := s.Load(writerKey)
		require.True(t, ok)
		got := checkPattern(t, data, writerSize)
		require.GreaterOrEqual(t, got, w.acked, "what was said to be saved is")
		require.LessOrEqual(t, got, w.acked+1)
	}
	t.Logf("FIGURE disk: %d kills, %d of them in the middle of a write, 0 mixed, 0 lost", rounds, inTheMiddle)
	assert.Positive(t, inTheMiddle, "no kill hit a write: the test shows nothing")
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w := startWriter(t, dir)
	w.read(t, 1)
	var theirs, ours int
	for i := range uint64(1000) {
		if i%4 == 0 {
			require.NoError(t, s.Save(writerKey, pattern(i|1<<40, writerSize)))
		}
		data, _, ok := s.Load(writerKey)
		require.True(t, ok, "absent or mixed")
		if checkPattern(t, data, writerSize)&(1<<40) != 0 {
			ours++
		} else {
			theirs++
		}
		w.read(t, 1)
	}
	w.kill(t)
	t.Logf("FIGURE disk: 1000 loads beside another process that writes: %d of its states, %d of ours, 0 mixed", theirs, ours)
	assert.Positive(t, theirs)
	assert.Positive(t, ours)
}
