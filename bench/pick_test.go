package bench

import (
	"fmt"
	"testing"
)

// BenchmarkPick is one weighted pick, in one goroutine.
func BenchmarkPick(b *testing.B) {
	for _, n := range sizes() {
		in := mixed(n)
		for _, p := range inTurn(drawnPeers) {
			if p.runs(n) {
				b.Run(fmt.Sprintf("%s/N=%d", p.name, n), func(b *testing.B) {
					sequential(b, p.build(b, in).pick)
				})
			}
		}
	}
}

// BenchmarkPickParallel is one weighted pick among a thousand, on several cores.
func BenchmarkPickParallel(b *testing.B) {
	in := mixed(1000)
	for _, p := range inTurn(drawnPeers) {
		b.Run(p.name, func(b *testing.B) {
			d := p.build(b, in)
			for _, n := range cores() {
				b.Run(fmt.Sprintf("cores=%d", n), func(b *testing.B) { parallel(b, n, d.pick) })
			}
		})
	}
}

// BenchmarkLeast is one pick by load among a thousand with the end of the request.
func BenchmarkLeast(b *testing.B) {
	in := mixed(1000)
	for _, p := range inTurn(loadedPeers) {
		b.Run(p.name, func(b *testing.B) {
			d := p.build(b, in)
			for _, n := range cores() {
				b.Run(fmt.Sprintf("cores=%d", n), func(b *testing.B) { parallel(b, n, d.pick) })
			}
		})
	}
}
