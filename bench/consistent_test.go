package bench

import (
	"testing"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

type member string

func (m member) String() string { return string(m) }

type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

// buraksezer/consistent knows no weights, and bounds the partitions of a member, not
// its requests. Its default of 271 partitions panics from some 270 members on, and a
// number that grew with the members would move all keys: this one, a prime as it asks
// for, is enough for a thousand.
const partitions = 20_011

func buraksezer(tb testing.TB, in []instance) keyed {
	tb.Helper()
	at := byAddr(in)
	c := newBuraksezer(in)
	hot := make([][]byte, hotKeys)
	for i, k := range keys(hotKeys) {
		hot[i] = []byte(k)
	}
	return keyed{
		pick:  func(i int) { c.LocateKey(hot[i]) },
		owner: func(key string) int { return at[c.LocateKey([]byte(key)).String()] },
	}
}

func newBuraksezer(in []instance) *consistent.Consistent {
	members := make([]consistent.Member, len(in))
	for i := range in {
		members[i] = member(in[i].addr())
	}
	return consistent.New(members, consistent.Config{
		Hasher: hasher{}, PartitionCount: partitions,
		ReplicationFactor: consistent.DefaultReplicationFactor, Load: consistent.DefaultLoad,
	})
}
