package config

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
	// Balance is how one instance is picked among the candidates.
	Balance Balance
}

// Rule is one rule of a service document.
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
	// "<service>/<rule>".
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

// Balance is a document's `balance`.
type Balance struct {
	Policy Policy
	// Key is the field that is hashed; nil unless Policy is Hash.
	Key *Field
}
