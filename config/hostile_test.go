package config

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a document of full size may take. The parser alone allocates 18 MiB for
// some, of which never more than half is in use.
const (
	mostAllocated = 20 << 20
	mostLive      = 16 << 20
	// mostTime is loose, for machines under load: the figure is what counts.
	mostTime = time.Second
	// quick is what needs no second look.
	quick = 15 * time.Millisecond
)

func TestHostileDocumentsEnd(t *testing.T) {
	var slowest, largest, fullest figure
	for _, k := range kinds() {
		if underRace && k.name != "rules" {
			continue
		}
		for name, d := range hostileDocuments(k) {
			t.Run(name, func(t *testing.T) {
				require.Len(t, d.content, MaxDocument)
				problems := k.parse([]byte(d.content))
				require.Equal(t, d.want != "", problems.Err() != nil, "%.1000s", problems)
				found := slices.ContainsFunc(problems, func(p Problem) bool { return p.Code == d.want })
				assert.Equal(t, d.want != "", found, "%.1000s", problems)
				assert.LessOrEqual(t, len(problems), 2*(MaxProblems+1))
				for _, p := range problems {
					assert.Less(t, len(p.Message), maxMessage, p.Message)
				}

				if underRace {
					return
				}
				f := measure(name, func() { k.parse([]byte(d.content)) })
				t.Logf("%s, %d problems", f, len(problems))
				assert.LessOrEqual(t, f.allocated, uint64(mostAllocated))
				assert.LessOrEqual(t, f.live, uint64(mostLive))
				assert.Less(t, f.took, mostTime)
				slowest = slices.MaxFunc([]figure{slowest, f}, func(a, b figure) int { return int(a.took - b.took) })
				largest = slices.MaxFunc([]figure{largest, f}, func(a, b figure) int { return int(a.allocated) - int(b.allocated) })
				fullest = slices.MaxFunc([]figure{fullest, f}, func(a, b figure) int { return int(a.live) - int(b.live) })
			})
		}
	}
	if underRace {
		return
	}
	t.Logf("FIGURE hostile documents: worst %.0f ms (%s), %.1f MiB (%s), of which in use at once %.1f MiB (%s)",
		slowest.ms(), slowest.name, mib(largest.allocated), largest.name, mib(fullest.live), fullest.name)
}

func TestADocumentThatIsTooLargeCostsNothing(t *testing.T) {
	content := []byte("gray: v1\ndefault: v1\nx-a: [" + strings.Repeat("a,", 5<<20) + "]")
	for _, k := range kinds() {
		var problems Problems
		f := measure(k.name, func() { problems = k.parse(content) })
		require.Len(t, problems, 1)
		assert.Equal(t, codeTooLarge, problems[0].Code)
		assert.Less(t, f.allocated, uint64(4<<10))
		assert.Less(t, f.took, mostTime)
		t.Logf("FIGURE %s of 10 MiB: %.3f ms, %d bytes", k.name, f.ms(), f.allocated)
	}
}

// figure is what a call takes.
type figure struct {
	name      string
	took      time.Duration // the best of up to five
	allocated uint64        // bytes, all together
	live      uint64        // bytes at once; 0 if allocated is less than may be live
}

func (f figure) ms() float64 { return float64(f.took.Microseconds()) / 1000 }

func (f figure) String() string {
	return fmt.Sprintf("%.1f ms, %.2f MiB, %.2f MiB at once", f.ms(), mib(f.allocated), mib(f.live))
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

func measure(name string, fn func()) figure {
	f := figure{name: name, took: time.Hour, allocated: 1 << 40}
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		fn()
		f.took = min(f.took, time.Since(begin))
		runtime.ReadMemStats(&after)
		f.allocated = min(f.allocated, after.TotalAlloc-before.TotalAlloc)
		if f.took < quick {
			break
		}
	}
	if f.allocated > mostLive {
		f.live = mostInUse(fn)
	}
	return f
}

// mostInUse returns how many bytes fn has in use at most, as often as the
// collector looks.
func mostInUse(fn func()) uint64 {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	live := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := live()
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		m := before
		for {
			m = max(m, live())
			select {
			case <-stop:
				most <- m
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	fn()
	close(stop)
	return <-most - before
}

// maxMessage bounds the message of a problem in bytes.
const maxMessage = 300
