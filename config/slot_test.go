package config

import (
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSlotsAreThoseOfTheLanguage(t *testing.T) {
	assert.Equal(t, 2609, Slot("order/ten-percent", "u1"))
	assert.Equal(t, 2770, Slot("盐", "u2"))
	assert.NotEqual(t, Slot("a", "b"), Slot("ab", ""), "the salt ends where it ends")
}

func TestSlotsOfAnyLengthAreTheHashOfTheWhole(t *testing.T) {
	// Bytes that differ, so that none can stand for another.
	var text strings.Builder
	for i := range 512 {
		text.WriteByte(byte(i*167 + i/256))
	}
	all := text.String()
	for n := range 5 * maxShort {
		salt := NewSalt(all[:n])
		for k := range 5 * maxShort {
			key := all[256 : 256+k]
			require.Equal(t, int(xxhash.Sum64String(all[:n]+"\x00"+key)%Slots), salt.Slot(key), "%d and %d bytes", n, k)
		}
	}
}

func FuzzSlot(f *testing.F) {
	f.Add("order/ten-percent", "u1")
	f.Add(strings.Repeat("s", maxShort-1), strings.Repeat("k", maxShort))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, salt, key string) {
		require.Equal(t, int(xxhash.Sum64String(salt+"\x00"+key)%Slots), Slot(salt, key))
	})
}

func BenchmarkSlot(b *testing.B) {
	for name, key := range map[string]string{"short": "user-4711", "uuid": "123e4567-e89b-12d3-a456-426614174000"} {
		b.Run(name, func(b *testing.B) {
			salt := NewSalt("order/ten-percent")
			b.ReportAllocs()
			for b.Loop() {
				salt.Slot(key)
			}
		})
	}
}
