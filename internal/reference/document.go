package reference

// Document is a service document (section 1), as far as it decides anything.
type Document struct {
	Service string // "": the document does not name its service
	Off     bool   // enabled: false
	Default string
	Targets map[string]map[string]string // nil: a target's name is a version
	Rules   []Rule

	Isolate    []string // "ip:port"
	Prefer     []string
	PreferMin  int // in slots
	DegradeAny bool

	// Noise holds fields that decide nothing, each as it stands in JSON, say
	// `"x-owner": "me"`.
	Noise []string
	// Style chooses among the ways to write the same document down.
	Style Style
}

// Global is the global document (section 5) without `enter`.
type Global struct {
	Lanes map[string]Lane
	Style Style
}

// Lane is what the global document says about one lane.
type Lane struct {
	Match map[string]string // nil: {lane: its name}
	Fail  bool              // missing: fail
}

// Rule is one rule of a document. Exactly one of To, Arms and By is there.
type Rule struct {
	Name   string
	Off    bool // enabled: false
	When   Condition
	Unless Condition

	To   string
	Arms map[string]int // target name to its share in slots
	By   Field

	Sticky Field
	Salt   string // "": the default
	Fail   bool   // missing: fail
}

// Field is the name of something that can be asked about a request: "header.x-a".
type Field string

// Condition is a list of maps, one of which must hold. An empty Condition is
// none at all: always for `when`, never for `unless`.
type Condition []map[Field]Test

// Kind is the kind of a test.
type Kind uint8

// The tests of section 2.
const (
	Equal Kind = iota
	NotEqual
	Prefix
	Suffix
	Regex
	Range
	Exists
	Absent
)

// Test is what is asked about the value of one field.
type Test struct {
	Kind Kind
	// Values are the compared values; one for Prefix, Suffix and Regex, two for
	// Range, none for Exists and Absent.
	Values []string
}

// Instance is one instance of the service, as in section 9.
type Instance struct {
	Addr     string            `json:"addr"`
	Weight   float64           `json:"weight"` // in Nacos's unit
	Healthy  bool              `json:"healthy"`
	Enabled  bool              `json:"enabled"`
	Cluster  string            `json:"cluster"`
	Metadata map[string]string `json:"metadata"`
}

// Request is a request as in section 9. Slot is the drawn slot.
type Request struct {
	ID      string              `json:"id,omitempty"`
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Headers map[string][]string `json:"headers,omitempty"`
	Cookies map[string]string   `json:"cookies,omitempty"`
	Query   map[string][]string `json:"query,omitempty"`
	User    string              `json:"user,omitempty"`
	Lane    string              `json:"lane,omitempty"`
	Caller  map[string]string   `json:"caller,omitempty"`
	Slot    int                 `json:"slot"`
}

// Answer is an answer as in section 9.
type Answer struct {
	Via        string   `json:"via"`
	Rule       string   `json:"rule"`
	Slot       int      `json:"slot"`
	Target     string   `json:"target"`
	Fallback   string   `json:"fallback"`
	Skipped    []string `json:"skipped"`
	Candidates []string `json:"candidates"`
	Error      string   `json:"error"`
}

// Errors of an Answer.
const (
	NoInstance    = "no_instance"
	UnknownTarget = "unknown_target"
)
