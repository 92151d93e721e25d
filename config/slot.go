package config

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Slots is the number of slots of a split: one slot is 0.01 % of the traffic.
const Slots = 10_000

// Slot returns the slot of a sticky key, 0 to Slots-1, under a rule's salt. It does
// not allocate. Whoever asks often makes a [Salt] once.
func Slot(salt, key string) int {
	s := NewSalt(salt)
	return s.Slot(key)
}

// Salt is a rule's salt, ready to be hashed with keys.
//
// The hash reads words of 8 bytes. Where such a word was written in two pieces a
// processor has to wait for both, and that takes longer than the whole hash. So
// salt and key are put together word by word.
type Salt struct {
	text  string
	words [maxSalt / 8]uint64 // of the salt and the byte 0 after it; none if it is too long
	n     int                 // how many words
	rest  uint64              // the bytes behind them
	bits  uint                // in rest, less than 64
}

const (
	maxSalt = 48 // of salts that are put together with keys, with the 0
	maxKey  = 48 // of keys that are
)

// NewSalt returns the salt of this text.
func NewSalt(text string) Salt {
	s := Salt{text: text}
	if len(text) >= maxSalt {
		return s
	}
	for ; len(text) >= 8; text = text[8:] {
		s.words[s.n] = word(text)
		s.n++
	}
	s.rest, s.bits = partWord(text), uint(8*len(text)+8)
	if s.bits == 64 {
		s.words[s.n], s.rest, s.bits = s.rest, 0, 0
		s.n++
	}
	return s
}

// Slot returns the slot of a sticky key, 0 to Slots-1. It does not allocate.
func (s *Salt) Slot(key string) int {
	if len(s.text) >= maxSalt || len(key) > maxKey {
		return s.longSlot(key)
	}
	var buf [maxSalt + maxKey + 16]byte
	n := 0
	for i := range s.n {
		binary.LittleEndian.PutUint64(buf[n:], s.words[i])
		n += 8
	}
	rest := s.rest
	for ; len(key) >= 8; key = key[8:] {
		w := word(key)
		binary.LittleEndian.PutUint64(buf[n:], rest|w<<s.bits)
		rest = w >> (64 - s.bits) // nothing, if there was nothing in rest
		n += 8
	}
	w := partWord(key)
	binary.LittleEndian.PutUint64(buf[n:], rest|w<<s.bits)
	binary.LittleEndian.PutUint64(buf[n+8:], w>>(64-s.bits))
	return int(xxhash.Sum64(buf[:n+int(s.bits/8)+len(key)]) % Slots)
}

// longSlot is Slot for salts and keys of any length.
func (s *Salt) longSlot(key string) int {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(s.text) // Never fails, nor do the others.
	_, _ = d.WriteString("\x00")
	_, _ = d.WriteString(key)
	return int(d.Sum64() % Slots)
}

// word returns the first 8 bytes of s; the first is the lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// partWord returns the bytes of s, which are less than 8.
func partWord(s string) (w uint64) {
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	return w
}
