package promx

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// MaxValues is how many versions, rules and targets of a service are told apart.
const MaxValues = 64

// maxLength is the length in bytes above which a value is Other.
const maxLength = 128

// kind is one of the labels whose values come from instances and documents.
type kind uint8

const (
	rules kind = iota
	targets
	versions
	kinds
)

func (k kind) String() string { return [kinds]string{"rule", "target", "version"}[k] }

// values are up to MaxValues values of each label.
type values [kinds][]string

func (v *values) has(k kind, value string) bool { return slices.Contains(v[k], value) }

func (v *values) add(k kind, value string) {
	if value != "" && len(v[k]) < MaxValues && len(value) <= maxLength && utf8.ValidString(value) && !v.has(k, value) {
		v[k] = append(v[k], value)
	}
}

// valuesOf returns the values that an instance or a document of a state names.
// Requests may name others, and those are none.
func valuesOf(s *resolver.State) *values {
	v := new(values)
	if s.Rules != nil {
		v.add(targets, s.Rules.Default)
		for i := range s.Rules.Rules {
			v.add(rules, s.Rules.Rules[i].Name)
			for _, arm := range s.Rules.Rules[i].To {
				v.add(targets, arm.Target)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.Rules.Targets)) {
			v.add(targets, name)
		}
	}
	found, lanes := map[string]struct{}{}, map[string]struct{}{}
	for _, in := range s.Snapshot.All() {
		found[in.Version()] = struct{}{}
		lanes[in.Metadata[registry.KeyLane]] = struct{}{}
	}
	for _, version := range slices.Sorted(maps.Keys(found)) {
		v.add(versions, version)
		if s.Rules == nil || s.Rules.Targets == nil {
			v.add(targets, version)
		}
	}
	if s.Global != nil {
		for name := range s.Global.Lanes {
			lanes[name] = struct{}{}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lanes)) {
		v.add(targets, name)
	}
	return v
}

// known are the values that are labels of their own, the oldest first. It is immutable.
type known struct {
	values
	set [kinds]map[string]struct{} // the same, to look up
}

// label returns the label of a value: itself or Other.
func (k *known) label(of kind, value string) string {
	if _, ok := k.set[of][value]; ok || value == "" {
		return value
	}
	return Other
}

// admit makes values labels of their own, as far as there is room. Where there is none,
// the oldest that nobody has any more are dropped.
func (k *known) admit(v *values, inUse func(kind, string) bool, drop func(kind, string)) *known {
	n := &known{}
	for of := range kinds {
		list := slices.Clone(k.values[of])
		for _, value := range v[of] {
			if slices.Contains(list, value) {
				continue
			}
			if len(list) >= MaxValues {
				old := slices.IndexFunc(list, func(old string) bool { return !inUse(of, old) })
				if old < 0 {
					break
				}
				drop(of, list[old])
				list = slices.Delete(list, old, old+1)
			}
			list = append(list, value)
		}
		n.values[of] = list
		n.set[of] = make(map[string]struct{}, len(list))
		for _, value := range list {
			n.set[of][value] = struct{}{}
		}
	}
	return n
}

// drop ends the series of a value; mu is held.
func (m *Metrics) drop(s *service, labels prometheus.Labels) {
	labels["service"] = s.label
	for _, v := range m.vectors() {
		v.DeletePartialMatch(labels)
	}
	for _, t := range s.meters {
		t.forget()
	}
}
