package balancer

import "github.com/graylane/graylane/config"

// prefer narrows candidates to those that are like the caller, label by label, as
// far as enough of their weight stays. It tells note of each step: who is kept,
// nil if the step is skipped. Labels that the caller does not have are passed
// over without a word.
func (d *Director) prefer(members []int32, note func(label string, kept []int32)) []int32 {
	if d.rules == nil {
		return members
	}
	for _, label := range d.rules.Prefer {
		own, ok := d.caller[label]
		if !ok {
			continue
		}
		var kept []int32
		for _, m := range members {
			if v, ok := d.snapshot.At(int(m)).Label(label); ok && v == own {
				kept = append(kept, m)
			}
		}
		if kept != nil && d.weight(kept)*config.Slots < uint64(d.rules.PreferMin)*d.weight(members) { //nolint:gosec // not negative
			kept = nil
		}
		note(label, kept)
		if kept != nil {
			members = kept
		}
	}
	return members
}

// weight returns the weight of instances together, in thousandths.
func (d *Director) weight(members []int32) (sum uint64) {
	for _, m := range members {
		sum += uint64(d.snapshot.At(int(m)).Weight)
	}
	return sum
}
