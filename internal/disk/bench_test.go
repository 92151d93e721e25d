package disk

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkStore(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20} {
		s, err := Open(b.TempDir())
		require.NoError(b, err)
		b.Cleanup(func() { s.Close() })
		b.Run(fmt.Sprintf("save/%dKiB", size>>10), func(b *testing.B) {
			for i := range b.N {
				require.NoError(b, s.Save("a", pattern(uint64(i), size)))
			}
		})
		b.Run(fmt.Sprintf("same/%dKiB", size>>10), func(b *testing.B) {
			data := pattern(1, size)
			for b.Loop() {
				require.NoError(b, s.Save("a", data))
			}
		})
		b.Run(fmt.Sprintf("load/%dKiB", size>>10), func(b *testing.B) {
			for b.Loop() {
				_, _, ok := s.Load("a")
				require.True(b, ok)
			}
		})
	}
}

func BenchmarkOpenFull(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir)
	require.NoError(b, err)
	for i := range MaxFiles {
		require.NoError(b, s.Save(strconv.Itoa(i), []byte("data")))
	}
	require.NoError(b, s.Close())
	for b.Loop() {
		s, err := Open(dir)
		require.NoError(b, err)
		require.NoError(b, s.Close())
	}
}
