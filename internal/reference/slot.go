package reference

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

const slots = 10000

// span is the slots [from, to) of one arm.
type span struct {
	name     string
	from, to int
}

// hashed: "slot = xxhash64(salt + "\x00" + key, seed 0) mod 10000".
func hashed(salt, key string) int {
	return int(xxhash.Sum64String(salt+"\x00"+key) % slots)
}

// spans returns the slots of a rule's arms (section 4).
func (r *Rule) spans(defaultTarget string) []span {
	// "Arms whose name is the default are dropped; the rest are ordered by name."
	var names []string
	for name := range r.Arms {
		if name != defaultTarget {
			names = append(names, name)
		}
	}
	slices.Sort(names)

	// "One arm of p slots takes [0, p). Two arms take [0, p) and [10000-q, 10000)."
	if r.Sticky != "" && len(names) == 2 {
		return []span{
			{names[0], 0, r.Arms[names[0]]},
			{names[1], slots - r.Arms[names[1]], slots},
		}
	}
	// Not sticky: "arms take consecutive ranges from 0".
	var out []span
	from := 0
	for _, name := range names {
		out = append(out, span{name, from, from + r.Arms[name]})
		from += r.Arms[name]
	}
	return out
}

// split returns the target that the arms of a rule give a request, and the slot
// that decided, -1 if none did.
func (r *Rule) split(req Request, service, defaultTarget string) (target string, slot int) {
	slot = req.Slot
	if r.Sticky != "" {
		// "The sticky field is absent → the default. Never random."
		key, present := value(req, r.Sticky)
		if !present {
			return defaultTarget, -1
		}
		salt := r.Salt
		if salt == "" {
			salt = service + "/" + r.Name
		}
		slot = hashed(salt, key)
	}
	for _, s := range r.spans(defaultTarget) {
		if s.from <= slot && slot < s.to {
			return s.name, slot
		}
	}
	return defaultTarget, slot
}
