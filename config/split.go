package config

import (
	"cmp"
	"slices"
)

// Arm returns the index in To of the arm that a slot belongs to, -1 if it is
// outside every arm: then it is the default's.
func (r *Rule) Arm(slot int) int {
	for i := range r.To {
		if a := &r.To[i]; slot < a.To && slot >= a.From {
			return i
		}
	}
	return -1
}

// maxStickyArms is the number of arms beside the default's that can grow
// without moving a key of another: one from each end of the slots.
const maxStickyArms = 2

// to reads the target of a service's rule, or the arms of a split.
func (r *reader) to(n *node, d *ruleDraft) {
	r.arms(n, d, func(n *node) (string, bool) { return r.target(n, d.doc) })
	if d.Split && (d.doc.Default == "" || n.get(d.doc.Default) != nil) {
		d.beside-- // If the default is not known, any arm may be its.
	}
}

// arms reads a name, or a map of names and shares.
func (r *reader) arms(n *node, d *ruleDraft, name func(*node) (string, bool)) {
	if n.kind != mapping {
		if target, ok := name(n); ok {
			d.To = []Arm{{Target: target, To: Slots}}
		}
		return
	}
	d.Split, d.beside = true, len(n.pairs)
	if len(n.pairs) == 0 {
		r.errorf(n.place, codeBadValue, "no arm; write the shares as {v2: 10%%}")
	}
	for _, p := range n.pairs {
		target, ok := name(p.key)
		if p.value.kind == refused {
			continue
		}
		if share, good := r.percent(p.value); ok && good {
			d.To = append(d.To, Arm{Target: target, To: share})
		}
	}
}

// arrange gives the arms of a split, of which To holds the share so far, their
// slots. At is where the split's key stands.
func (r *reader) arrange(at place, sticky bool, d *ruleDraft) {
	sum := 0
	for _, a := range d.To {
		sum += a.To
	}
	if sum > Slots {
		r.errorf(at, codePercentSum, "the shares add up to more than 100%%")
	}
	if sticky && d.beside > maxStickyArms {
		r.errorf(at, codeTooManyArms, "with sticky there are at most %d arms beside the default's", maxStickyArms)
	}

	if d.doc != nil {
		d.To = slices.DeleteFunc(d.To, func(a Arm) bool { return a.Target == d.doc.Default })
	}
	slices.SortFunc(d.To, func(a, b Arm) int { return cmp.Compare(a.Target, b.Target) })
	next := 0
	for i := range d.To {
		a := &d.To[i]
		a.From, a.To = next, next+a.To
		next = a.To
	}
	if sticky && len(d.To) == maxStickyArms {
		// The second grows from the other end, and neither moves the other.
		last := &d.To[1]
		last.From, last.To = Slots-(last.To-last.From), Slots
	}
}
