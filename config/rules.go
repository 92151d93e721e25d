package config

import (
	"net/netip"
	"time"
)

// Rules is a service document that was accepted. It is immutable.
type Rules struct {
	// Service is the service the document was read for.
	Service string
	// MD5 is the digest of the document: its revision.
	MD5 string
	// Enabled false turns lanes and rules off: everything goes to Default.
	Enabled bool
	// Default is the target of whatever no rule claims.
	Default string
	// Targets maps a declared target to its labels. Nil: the document declares
	// none, and a target's name is a version.
	Targets map[string]map[string]string
	// Rules are tried in order, the first match wins.
	Rules []Rule
	// Isolate holds the addresses that get nothing.
	Isolate map[netip.AddrPort]struct{}
	// Prefer names the labels by which the candidates are narrowed to those that
	// are like the caller, in this order.
	Prefer []string
	// PreferMin is the share of the weight, in slots, that a step of Prefer must
	// keep.
	PreferMin int
	// DegradeAny sends requests to any baseline instance when Default has nobody.
	DegradeAny bool
	// Guard says when a failing target is withdrawn; nil: never.
	Guard *Guard
	// Limits maps a target to the limits of requests to it.
	Limits map[string]Limit
	// Balance is how one instance is picked among the candidates.
	Balance Balance
}

// Rule is one rule of a document. In a service document its targets are targets,
// in the global one they are lanes; in a switch there is one, without a name.
type Rule struct {
	Name    string
	Enabled bool
	// When must hold: the rule's `when`, and its `unless` must not.
	When Condition
	// To holds the arms of a split in the order of their slots, without the arm
	// of the default target; or, if Split is false, one arm that takes
	// everything. A split whose arms are all the default's has none.
	To    []Arm
	Split bool
	// By names the field whose value is the target; nil if To decides.
	By *Field
	// Sticky names the field that decides the slot; nil: drawn for each request.
	Sticky *Field
	// Salt is hashed with the sticky field's value: the document's, or
	// "<service>/<rule>", "enter/<rule>", "<switch>/<rule>".
	Salt string
	// Strict is `missing: fail`: a target without instances is an error instead
	// of the default.
	Strict bool
}

// Arm is one target of a split and the slots it takes: [From, To).
type Arm struct {
	Target   string
	From, To int
}

// Guard is a document's `guard`: when a target other than the default is
// withdrawn, and for how long.
type Guard struct {
	// Errors is the share of failed requests, in slots, above which it trips; -1:
	// the share does not matter.
	Errors int
	// Over is the window that requests are counted in, with at least Min of them.
	Over time.Duration
	Min  int
	// Failures in a row trip it too; 0: they do not.
	Failures int
	// Hold is how long the target is withdrawn the first time.
	Hold time.Duration
}

// Limit bounds requests to one target.
type Limit struct {
	// Timeout bounds each attempt; 0: the document does not say.
	Timeout time.Duration
	// Retries is the number of further attempts; -1: the document does not say.
	Retries int
}

// Policy is a way to pick one instance among candidates.
type Policy uint8

// The policies of `balance`.
const (
	// Unset leaves the choice to the consumer.
	Unset Policy = iota
	// Weighted gives each instance its share by weight.
	Weighted
	// Least prefers the instance with fewer requests in flight per weight.
	Least
	// Hash gives each value of a field one owner.
	Hash
)

// String returns the policy as documents write it, "" for Unset.
func (p Policy) String() string { return [...]string{"", "weighted", "least", "hash"}[p&3] }

// Balance is a document's `balance`.
type Balance struct {
	Policy Policy
	// Key is the field that is hashed; nil unless Policy is Hash.
	Key *Field
}

// Isolated reports whether the instance at addr, an "ip:port", gets nothing.
func (r *Rules) Isolated(addr string) bool {
	if len(r.Isolate) == 0 {
		return false
	}
	parsed, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	_, isolated := r.Isolate[parsed]
	return isolated
}
