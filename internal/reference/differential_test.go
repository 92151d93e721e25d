package reference

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// perCase is how many requests are decided under each document.
const perCase = 80

// difference is a request about which the two disagree.
type difference struct {
	c         Case // with the one request
	want, got Answer
	refused   error // the library refuses the document
	seed      uint64
}

// TestDifferential lets the library and the reference decide the same cases and
// compares every field of the answers. DECISIONS is how many, SEED the first
// case's seed: SEED=… DECISIONS=1 makes one case again.
func TestDifferential(t *testing.T) {
	t.Parallel()
	decisions, first := setting(t, "DECISIONS", 200_000), setting(t, "SEED", 1)
	documents := (decisions + perCase - 1) / perCase
	begin := time.Now()

	var next atomic.Uint64
	var found tally
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := next.Add(1); n <= documents; n = next.Add(1) {
				found.add(first+n-1, compare(seeded(first+n-1)))
			}
		})
	}
	workers.Wait()
	rate := float64(documents*perCase) / time.Since(begin).Seconds()
	t.Logf("FIGURE differential: %d decisions of %d documents, %d differ, %.0f/s",
		documents*perCase, documents, found.differ, rate)
	if found.one != nil {
		t.Errorf("%d differ; one of seed %d, made small:\n%s", found.differ, found.one.seed, found.one.minimised())
	}
}

// tally adds up what the workers found.
type tally struct {
	mu     sync.Mutex
	differ int
	one    *difference
}

func (t *tally) add(seed uint64, diffs []difference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.differ += len(diffs)
	if len(diffs) > 0 && t.one == nil {
		t.one = &diffs[0]
		t.one.seed = seed
	}
}

// FuzzDecide is TestDifferential for one case, which the bytes draw as far as
// they go, and then the seed.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed, []byte{byte(seed), 0xff, 0, 0x80})
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		c := Random(rand.New(&bytesThen{data, rand.NewPCG(seed, 0)}), 5)
		for _, d := range compare(c) {
			t.Fatalf("seed %d, bytes %x, made small:\n%s", seed, data, d.minimised())
		}
	})
}

// bytesThen is a source of numbers that come from bytes as long as there are
// any.
type bytesThen struct {
	data []byte
	then rand.Source
}

func (b *bytesThen) Uint64() uint64 {
	if len(b.data) == 0 {
		return b.then.Uint64()
	}
	// IntN looks at the upper bits for small n, and at the lower ones for others.
	n := uint64(b.data[0])
	b.data = b.data[1:]
	return n<<56 | n<<24 | n
}

// seeded makes the case of a seed.
func seeded(seed uint64) Case { return Random(rand.New(rand.NewPCG(seed, 0)), perCase) }

// compare returns the requests of a case about which the two disagree.
func compare(c Case) []difference {
	requests := c.Requests
	c.Requests = nil
	lib, err := newLibrary(&c)
	if err != nil {
		return []difference{{c: c, refused: err}}
	}
	var out []difference
	for i := range requests {
		want, got := c.Decide(requests[i]), lib.decide(&requests[i])
		if !want.same(&got) {
			one := c
			one.Requests = requests[i : i+1]
			out = append(out, difference{c: one, want: want, got: got})
		}
	}
	return out
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// String shows all that is needed to make the difference again by hand.
func (d difference) String() string {
	if d.refused != nil {
		return "refused: " + d.refused.Error()
	}
	var b strings.Builder
	if d.c.Document != nil {
		b.WriteString(d.c.Document.YAML())
	} else {
		b.WriteString("no document\n")
	}
	if d.c.Global != nil {
		b.WriteString("--- global\n" + d.c.Global.YAML())
	}
	fmt.Fprintf(&b, "--- service %s, started with version %q\n", d.c.Service, d.c.DefaultVersion)
	for _, in := range d.c.Instances {
		fmt.Fprintf(&b, "instance  %s\n", line(in))
	}
	fmt.Fprintf(&b, "request   %s\nreference %s\nlibrary   %s", line(d.c.Requests[0]), line(d.want), line(d.got))
	return b.String()
}

func line(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
