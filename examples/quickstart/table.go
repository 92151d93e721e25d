package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
)

const barWidth = 30

// failed stands for a version where there was no answer.
const failed = "failed"

// blocks draw the versions.
var blocks = map[string]string{"v1": "█", "v2": "▒", "v3": "░", failed: "x"} //nolint:gochecknoglobals // a constant

// printTable prints who served what: a row for each kind of request, with a bar
// and the numbers of the versions that answered.
func printTable(log []judge.Attempt) {
	counts := map[string]map[string]int{}
	failure := ""
	for i := range log {
		a := &log[i]
		r := row(a)
		if counts[r] == nil {
			counts[r] = map[string]int{}
		}
		version := a.Version
		if a.Error != "" {
			version, failure = failed, a.Error
		}
		counts[r][version]++
	}
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		_, label, _ := strings.Cut(r, " ")
		fmt.Printf("   %-26s %s\n", label, bar(counts[r]))
	}
	if failure != "" {
		fmt.Printf("   the last failure: %s\n", failure)
	}
}

// row says which row of the table an attempt belongs to: a number for the order
// of the rows, and the label.
func row(a *judge.Attempt) string {
	asked := a.Headers[lane.HeaderVersion] != ""
	switch {
	case a.Lane != "":
		return "5 in lane " + laneName + ", via order"
	case a.Protocol == "http" && !asked:
		return "1 http  anyone"
	case a.Protocol == "http":
		return "2 http  x-gray-version: v2"
	case !asked:
		return "3 grpc  anyone"
	}
	return "4 grpc  x-gray-version: v2"
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
		fmt.Fprintf(&said, "   %s%5d %5.1f %%", version, counts[version], 100*float64(counts[version])/float64(total))
	}
	return drawn.String() + said.String()
}

// printFollowed prints how soon after the publish's answer the first request
// followed the document; a push may overtake the answer.
func printFollowed(p *judge.Publication, log []judge.Attempt) {
	fmt.Print("   first request under the new rules, after the publish's answer:")
	for _, protocol := range []string{"http", "grpc"} {
		of := slices.DeleteFunc(slices.Clone(log), func(a judge.Attempt) bool { return a.Protocol != protocol })
		took, ok := p.Followed(of)
		switch {
		case !ok:
		case took < 0:
			fmt.Printf("  %s before it", protocol)
		default:
			fmt.Printf("  %s %s", protocol, took.Round(100*time.Microsecond))
		}
	}
	fmt.Println()
}
