package balancer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graylane/graylane/registry"
)

// maxCensus is how many versions a census names.
const maxCensus = 20

// census counts instances by version.
func census(snap *registry.Snapshot) string {
	type count struct{ all, healthy int }
	counts := map[string]count{}
	for _, in := range snap.All() {
		name := in.Version()
		if name == "" {
			name = "without a version"
		}
		if !baseline(in) {
			name += " in lane " + in.Metadata[registry.KeyLane]
		}
		c := counts[name]
		c.all++
		if in.Enabled && in.Healthy && in.Weight > 0 {
			c.healthy++
		}
		counts[name] = c
	}
	var out []string
	for i, name := range slices.Sorted(maps.Keys(counts)) {
		if i == maxCensus {
			out = append(out, "…")
			break
		}
		c := counts[name]
		text := fmt.Sprintf("%.64s ×%d", name, c.all)
		if c.healthy < c.all {
			text += fmt.Sprintf(" (%d usable)", c.healthy)
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
