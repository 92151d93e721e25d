package resolver

import (
	"cmp"
	"slices"
	"time"

	"github.com/graylane/graylane/registry"
)

const (
	// holdLimit is the longest that an instance is held, unless an option says else.
	holdLimit = 60 * time.Second
	// holdWindow is how long losses are added up: a list that shrinks bit by bit
	// within it is judged as if it had lost them all at once.
	holdWindow = 10 * time.Second
	// holdShare is the share of the instances, in percent, that may leave on the
	// registry's word alone; one may always leave that is not the last.
	holdShare = 30
)

// hold is where a list of the registry is a claim, and not an order. A list that is
// empty, or has lost more than holdShare percent and more than one instance, is
// as likely the fault of the registry as it is true. What it lacks stays in use as it was
// last listed, so that the load stays spread as it was, until it is listed again,
// has proved to be gone, or has been missing for the limit.
//
// What the list has is never doubted: an instance in it is as the list says. A loss that
// was obeyed comes back if it turns out within holdWindow to be one of many.
//
// Times are in nanoseconds of any one clock. A hold belongs to one goroutine.
type hold struct {
	limit   int64               // 0: every list is obeyed
	last    []registry.Instance // the registry's list, as it came
	listed  map[string]*present // the same by ID
	round   uint64              // counts lists
	missing map[string]absent   // held; none of them is listed
	left    []departed          // who was let go within the window and nobody came instead, oldest first
	holding bool                // began, and settled did not say yet that it ended
}

// absent is an instance that is held, as it was last listed.
type absent struct {
	instance registry.Instance
	until    int64
}

// present is an instance that is listed.
type present struct {
	instance registry.Instance
	round    uint64 // of the list that has it
}

// departed is an instance whose loss was obeyed.
type departed struct {
	instance registry.Instance
	at       int64
}

// newHold returns a hold that keeps an instance for at most limit; 0 turns it off.
func newHold(limit time.Duration) *hold {
	return &hold{limit: int64(limit), listed: map[string]*present{}, missing: map[string]absent{}}
}

// list takes a list of the registry, which belongs to the hold from now on, and
// returns the list to use. Began is true when nothing was held before and
// something is now.
func (h *hold) list(list []registry.Instance, now int64) (use []registry.Instance, began bool) {
	h.last = list
	if h.limit <= 0 {
		return list, false
	}
	h.expire(now)
	believed := len(h.listed) + len(h.missing)
	came := h.welcome(list, now)
	var lost []departed
	for id, p := range h.listed {
		if p.round != h.round {
			lost = append(lost, departed{p.instance, now})
			delete(h.listed, id)
		}
	}
	if h.isClaim(len(lost), believed) {
		h.keep(append(lost, h.left...), now)
		h.left = nil
	} else if len(lost) > came {
		h.left = append(h.left, lost[came:]...)
	}
	began = !h.holding && len(h.missing) > 0
	h.holding = h.holding || began
	return h.effective(), began
}

// keep holds those who are not listed.
func (h *hold) keep(lost []departed, now int64) {
	for _, d := range lost {
		id := idOf(&d.instance)
		if _, ok := h.listed[id]; !ok {
			h.missing[id] = absent{instance: d.instance, until: now + h.limit}
		}
	}
}

// welcome notes who is listed, and ends the hold of those who are again. Each instance
// that is new strikes out a loss, since a rolling restart onto new addresses loses
// nothing; welcome returns how many came beyond that.
func (h *hold) welcome(list []registry.Instance, now int64) (came int) {
	h.round++
	for i := range list {
		id := idOf(&list[i])
		p := h.listed[id]
		if p == nil {
			if _, held := h.missing[id]; held {
				delete(h.missing, id)
			} else {
				came++
			}
			p = &present{}
			h.listed[id] = p
		}
		p.instance, p.round = list[i], h.round
		p.instance.ID = id
	}
	for len(h.left) > 0 && now-h.left[0].at >= int64(holdWindow) {
		h.left = h.left[1:]
	}
	struck := min(came, len(h.left))
	h.left = h.left[:len(h.left)-struck]
	return came - struck
}

// isClaim judges a list that lacks lost of the listed ones, where believed were in
// use before it. Those that are still held count as lost too: a registry that is
// doubted is not believed the next loss.
func (h *hold) isClaim(lost, believed int) bool {
	if len(h.listed) == 0 {
		return true
	}
	lost += len(h.missing) + len(h.left)
	return lost > 1 && lost*100 > (believed+len(h.left))*holdShare
}

// gone takes the proof that nobody listens at the address of an instance, and
// reports whether that ended its hold. Of an instance that is not held it is none:
// what is listed is up to the balancer.
func (h *hold) gone(id string) bool {
	_, held := h.missing[id]
	delete(h.missing, id)
	return held
}

// expire drops those that have been missing for the limit, and reports whether
// there were any.
func (h *hold) expire(now int64) bool {
	before := len(h.missing)
	for id, a := range h.missing {
		if now >= a.until {
			delete(h.missing, id)
		}
	}
	return len(h.missing) < before
}

// deadline returns when expire has something to drop, 0 if nothing is held.
func (h *hold) deadline() int64 {
	first := int64(0)
	for _, a := range h.missing {
		if first == 0 || a.until < first {
			first = a.until
		}
	}
	return first
}

// settled reports, once, that something was held and nothing is any more.
func (h *hold) settled() bool {
	if !h.holding || len(h.missing) > 0 {
		return false
	}
	h.holding = false
	return true
}

// held returns the instances that are held, sorted by ID.
func (h *hold) held() []registry.Instance {
	out := make([]registry.Instance, 0, len(h.missing))
	for _, a := range h.missing {
		out = append(out, a.instance)
	}
	slices.SortFunc(out, func(a, b registry.Instance) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// effective returns the list to use: the registry's, and the held ones after it.
func (h *hold) effective() []registry.Instance {
	if len(h.missing) == 0 {
		return h.last
	}
	return slices.Concat(h.last, h.held())
}

// byID returns a list by ID, under the rules of registry.NewSnapshot.
func byID(list []registry.Instance) map[string]registry.Instance {
	out := make(map[string]registry.Instance, len(list))
	for _, in := range list {
		in.ID = idOf(&in)
		out[in.ID] = in
	}
	return out
}

// idOf returns an instance's ID, under the rules of registry.NewSnapshot.
func idOf(in *registry.Instance) string {
	if in.ID == "" {
		return registry.InstanceID(in.Addr, in.Cluster)
	}
	return in.ID
}
