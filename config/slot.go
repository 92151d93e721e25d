package config

import (
	"math/bits"

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

// Salt is a rule's salt, ready to be hashed with keys: xxhash64 of salt, a byte 0
// and key, modulo Slots.
type Salt struct {
	text string
	// The salt and the 0 as words, for short hashes.
	words [maxShort / 8]uint64
	n     int    // how many words
	rest  uint64 // the bytes behind them
	bits  int    // in rest, less than 64
}

// maxShort is the length from which on xxhash64 works in stripes of four words.
// What is shorter is hashed here, out of registers: to put salt and key together in
// memory and read them back takes as long again as to hash them.
const maxShort = 32

// NewSalt returns the salt of this text.
func NewSalt(text string) Salt {
	s := Salt{text: text}
	if len(text) >= maxShort {
		return s
	}
	for ; len(text) >= 8; text = text[8:] {
		s.words[s.n] = word(text)
		s.n++
	}
	s.rest, s.bits = partWord(text), 8*len(text)+8
	if s.bits == 64 {
		s.words[s.n], s.rest, s.bits = s.rest, 0, 0
		s.n++
	}
	return s
}

// Slot returns the slot of a sticky key, 0 to Slots-1. It does not allocate.
func (s *Salt) Slot(key string) int {
	if n := len(s.text) + 1 + len(key); n < maxShort {
		return int(s.short(key, uint64(n)) % Slots)
	}
	return int(s.long(key) % Slots)
}

// long hashes what is not short.
func (s *Salt) long(key string) uint64 {
	// In one piece, if that is possible: it is far quicker.
	var buf [128]byte
	if len(s.text)+len(key) < len(buf) {
		return xxhash.Sum64(append(append(append(buf[:0], s.text...), 0), key...))
	}
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(s.text) // Never fails, nor do the others.
	_, _ = d.WriteString("\x00")
	_, _ = d.WriteString(key)
	return d.Sum64()
}

// The primes of xxhash64.
const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

// short is xxhash64 of n bytes, less than maxShort. The tests hold it against the
// library for all lengths.
func (s *Salt) short(key string, n uint64) uint64 {
	h := prime5 + n
	for i := range s.n {
		h = mix(h, s.words[i])
	}
	rest, have := s.rest, s.bits
	for ; len(key) >= 8; key = key[8:] {
		w := word(key)
		h = mix(h, rest|w<<have)
		rest = w >> (64 - have) // nothing, if there was nothing in rest
	}
	w := partWord(key)
	rest |= w << have
	if have += 8 * len(key); have >= 64 {
		h = mix(h, rest)
		have -= 64
		rest = w >> (8*len(key) - have)
	}
	if have >= 32 {
		h ^= uint64(uint32(rest)) * prime1 //nolint:gosec // the lower half
		h = bits.RotateLeft64(h, 23)*prime2 + prime3
		rest >>= 32
		have -= 32
	}
	for ; have > 0; have -= 8 {
		h ^= rest & 0xff * prime5
		h = bits.RotateLeft64(h, 11) * prime1
		rest >>= 8
	}
	h ^= h >> 33
	h *= prime2
	h ^= h >> 29
	h *= prime3
	return h ^ h>>32
}

// mix takes a word into a short hash.
func mix(h, word uint64) uint64 {
	h ^= bits.RotateLeft64(word*prime2, 31) * prime1
	return bits.RotateLeft64(h, 27)*prime1 + prime4
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
