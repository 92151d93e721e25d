package bench

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// BenchmarkHash is one pick by a key of 16 bytes.
func BenchmarkHash(b *testing.B) {
	for _, n := range sizes() {
		in := mixed(n)
		for _, p := range inTurn(keyedPeers) {
			if p.runs(n) {
				b.Run(fmt.Sprintf("%s/N=%d", p.name, n), func(b *testing.B) { byKey(b, p.build(b, in).pick) })
			}
		}
	}
}

// BenchmarkHashParallel is one pick by a key among a thousand, on several cores.
func BenchmarkHashParallel(b *testing.B) {
	in := mixed(1000)
	for _, p := range inTurn(keyedPeers) {
		b.Run(p.name, func(b *testing.B) {
			k := p.build(b, in)
			k.pick(0)
			for _, n := range cores() {
				b.Run(fmt.Sprintf("cores=%d", n), func(b *testing.B) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
					b.ReportAllocs()
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						for i := rand.IntN(hotKeys); pb.Next(); i++ { // or all would use the same key at a time
							k.pick(i & (hotKeys - 1))
						}
					})
				})
			}
		})
	}
}

// BenchmarkFilter is what leads a request to an instance of a version: for ours ten
// rules on a header, for the others the version that the caller knows already.
func BenchmarkFilter(b *testing.B) {
	for _, n := range sizes() {
		in := versions(mixed(n), 10)
		for _, p := range inTurn(filterPeers) {
			if p.runs(n) {
				b.Run(fmt.Sprintf("%s/N=%d", p.name, n), func(b *testing.B) { byKey(b, p.build(b, in).pick) })
			}
		}
	}
}

// byKey measures pick over all hot keys.
func byKey(b *testing.B, pick func(int)) {
	b.Helper()
	pick(0) // as in sequential
	runtime.GC()
	b.ReportAllocs()
	before, i := cpuTime(b), 0
	for b.Loop() {
		pick(i & (hotKeys - 1))
		i++
	}
	reportCPU(b, before)
}
