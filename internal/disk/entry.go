package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"time"
)

// A file is
//
//	magic     16 bytes, with the version of the format
//	saved     8 bytes, nanoseconds since 1970
//	len(key)  4 bytes
//	len(data) 4 bytes
//	key
//	data
//	checksum  32 bytes, SHA-256 of all before it
//
// with numbers in big endian. The checksum finds damage; it is no proof of who
// wrote the file. That is left to the owner and the mode.
const (
	magic      = "graylane disk 1\n"
	headerSize = len(magic) + 8 + 4 + 4
	maxFile    = headerSize + MaxKey + MaxSize + sha256.Size
)

// encode returns the file of an entry.
func encode(key string, data []byte, saved time.Time) []byte {
	file := make([]byte, 0, headerSize+len(key)+len(data)+sha256.Size)
	file = append(file, magic...)
	file = binary.BigEndian.AppendUint64(file, uint64(saved.UnixNano()))
	file = binary.BigEndian.AppendUint32(file, uint32(len(key)))  //nolint:gosec // At most MaxKey.
	file = binary.BigEndian.AppendUint32(file, uint32(len(data))) //nolint:gosec // At most MaxSize.
	file = append(file, key...)
	file = append(file, data...)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// decode returns the data and the save time of key's file, and false when it is
// not, byte for byte, what encode made for this key. The data is a part of file.
func decode(file []byte, key string) (data []byte, saved time.Time, ok bool) {
	if len(file) < headerSize+sha256.Size || string(file[:len(magic)]) != magic {
		return nil, time.Time{}, false
	}
	body, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
		return nil, time.Time{}, false
	}
	nanos := binary.BigEndian.Uint64(body[len(magic):])
	keyLen := uint64(binary.BigEndian.Uint32(body[len(magic)+8:]))
	dataLen := uint64(binary.BigEndian.Uint32(body[len(magic)+12:]))
	rest := body[headerSize:]
	if keyLen+dataLen != uint64(len(rest)) || string(rest[:keyLen]) != key {
		return nil, time.Time{}, false
	}
	// The capacity ends with the data: a caller's append must not see the checksum.
	return rest[keyLen:len(rest):len(rest)], time.Unix(0, int64(nanos)), true //nolint:gosec // Any sign is a time.
}

// kind is what a file of the directory is to us.
type kind int

const (
	foreign kind = iota // not ours: neither counted nor touched
	state               // <hash>
	temp                // <hash>.<random>.tmp, being written or left by a crash
	damaged             // <hash>.bad, kept as evidence
)

const (
	badSuffix  = ".bad"
	tempSuffix = ".tmp"
	hashLen    = 2 * sha256.Size
	randomLen  = 16
)

// fileName returns the name of a key's file. No key, whatever it holds, can name
// another place.
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// tempName returns a name that no other writer uses.
func tempName(name string) string {
	var random [randomLen / 2]byte
	binary.BigEndian.PutUint64(random[:], rand.Uint64())
	return name + "." + hex.EncodeToString(random[:]) + tempSuffix
}

// kindOf reads a name strictly: we may delete what it calls ours.
func kindOf(name string) kind {
	if len(name) < hashLen || !isHex(name[:hashLen]) {
		return foreign
	}
	switch rest := name[hashLen:]; {
	case rest == "":
		return state
	case rest == badSuffix:
		return damaged
	case len(rest) == 1+randomLen+len(tempSuffix) && rest[0] == '.' &&
		strings.HasSuffix(rest, tempSuffix) && isHex(rest[1:1+randomLen]):
		return temp
	}
	return foreign
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
