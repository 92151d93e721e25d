package balancer

import (
	"iter"

	"github.com/cespare/xxhash/v2"

	"github.com/graylane/graylane/config"
)

// Via is what chose a decision's target.
type Via uint8

// The ways of section 3 of the rule language.
const (
	ViaDefault Via = iota
	ViaRule
	ViaLane
	ViaOff // the document says `enabled: false`
)

// String returns "default", "rule", "lane" or "off".
func (v Via) String() string { return [...]string{"default", "rule", "lane", "off"}[v&3] }

// Fallback is the step that a decision fell back to because its target had
// nobody usable.
type Fallback uint8

// The fallbacks of the rule language.
const (
	// NoFallback: the target's own instances are the candidates.
	NoFallback Fallback = iota
	// FallbackDefault: the default's instead of the target's.
	FallbackDefault
	// FallbackPanic: the default's instances, whatever their health.
	FallbackPanic
	// FallbackAny: any baseline instance, since the default has nobody at all.
	FallbackAny
)

// String returns "", "default", "panic" or "any".
func (f Fallback) String() string { return [...]string{"", "default", "panic", "any"}[f&3] }

// Decision is what was decided about one request, before an instance was picked.
// It explains itself; it is a value and holds no reference to the request.
type Decision struct {
	// Rule is the name of the rule that decided, "" if none did.
	Rule string
	// Target is the target chosen before any fallback; the lane's name for
	// ViaLane; "" where neither rules nor the consumer name a default.
	Target string
	// Slot is the slot of a split, drawn or hashed; -1 where no split decided.
	Slot     int
	Via      Via
	Fallback Fallback
	// Keyless: the rule's split is by a field that the request lacks, so that it went to
	// the default.
	Keyless bool

	hashed bool    // false: no key, or not picked by hash
	given  int32   // the member that the ring gave plus 1; 0: it was not picked by hash
	subset *subset // the candidates
	hash   uint64  // of the request's key
}

// HashBy makes key say which instance is picked, in place of the field that the
// document names, if the balance is by hash. An empty key, or one of more than
// config.MaxValue bytes, is none.
func (d *Decision) HashBy(key string) {
	if d.subset != nil && d.subset.ring != nil && key != "" && len(key) <= config.MaxValue {
		d.hash, d.hashed = xxhash.Sum64String(key), true
	}
}

// Begin notes that a request that was decided so is sent to an endpoint. Done must
// follow. If now is not 0 the request waits for its first byte, and Endpoint.Heard or
// Endpoint.Unheard must follow too; streams, which may be silent for long, do not.
func (d *Decision) Begin(e *Endpoint, now int64) {
	e.inflight.Add(1)
	if now != 0 {
		e.begin(now)
	}
	if d.given > 0 {
		d.subset.ring.loads[d.given-1].Add(1)
		d.subset.total.Add(1)
	}
}

// Done notes that the request has ended.
func (d *Decision) Done(e *Endpoint) {
	e.inflight.Add(-1)
	if d.given > 0 {
		d.subset.ring.loads[d.given-1].Add(-1)
		d.subset.total.Add(-1)
	}
}

// Skipped returns the labels of `prefer` that were skipped: they would have left
// nobody, or too few. It is read-only.
func (d *Decision) Skipped() []string {
	if d.subset == nil {
		return nil
	}
	return d.subset.skipped
}

// Candidates returns the endpoints that the decision leaves to the picker.
func (d *Decision) Candidates() iter.Seq[*Endpoint] {
	return func(yield func(*Endpoint) bool) {
		if d.subset == nil {
			return
		}
		for _, e := range d.subset.endpoints {
			if !yield(e) {
				return
			}
		}
	}
}
