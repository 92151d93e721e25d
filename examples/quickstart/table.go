package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/judge"
)

const barWidth = 30

// blocks draw the versions.
var blocks = map[string]string{"v1": "█", "v2": "▒", "v3": "░"} //nolint:gochecknoglobals // a constant

// printTable prints who served what: a row for each kind of request, a bar
// for the versions that answered, and how many requests each instance had.
func printTable(log []judge.Attempt) {
	counts := map[string]map[string]int{}
	for i := range log {
		a := &log[i]
		r := row(a)
		if counts[r] == nil {
			counts[r] = map[string]int{}
		}
		counts[r][a.Version]++
	}
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		fmt.Printf("   %-26s %s\n", r, bar(counts[r]))
	}
}

// bar draws shares, and says them in numbers.
func bar(counts map[string]int) string {
	total := 0
	for _, n := range counts {
		total += n
	}
	var drawn, said strings.Builder
	cells, sum := 0, 0
	for _, version := range slices.Sorted(maps.Keys(counts)) {
		sum += counts[version]
		end := (sum*barWidth + total/2) / total
		drawn.WriteString(strings.Repeat(blocks[version], end-cells))
		cells = end
		fmt.Fprintf(&said, "   %s %d (%.1f %%)", version, counts[version], 100*float64(counts[version])/float64(total))
	}
	return drawn.String() + said.String()
}

// printFollowed prints how soon after the publish's answer the first request
// followed the document.
func printFollowed(p *judge.Publication, log []judge.Attempt) {
	for _, protocol := range []string{"http", "grpc"} {
		of := slices.DeleteFunc(slices.Clone(log), func(a judge.Attempt) bool { return a.Protocol != protocol })
		if took, ok := p.Followed(of); ok {
			fmt.Printf("   %s  the first request followed %s\n", protocol, since(took))
		}
	}
}

func since(d time.Duration) string {
	if d < 0 {
		return fmt.Sprintf("%s before the publish was answered", (-d).Round(100*time.Microsecond))
	}
	return fmt.Sprintf("%s after the publish's answer", d.Round(100*time.Microsecond))
}
