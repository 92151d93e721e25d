package reference

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
)

const maxValue = 1024

var (
	// The patterns are the text's own.
	namePattern    = regexp.MustCompile(`\A(?:[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?)\z`)
	labelPattern   = regexp.MustCompile(`\A(?:[A-Za-z0-9._-]{1,64})\z`)
	decimalPattern = regexp.MustCompile(`\A(?:-?[0-9]+(\.[0-9]+)?)\z`) //nolint:gocritic // \d is not what the text says
)

func isName(s string) bool { return namePattern.MatchString(s) }

// value returns the value of a field: "A value of more than 1,024 bytes is
// absent, everywhere", "An empty value is present".
func value(req Request, field Field) (string, bool) {
	v, present := rawValue(req, field)
	if !present || len(v) > maxValue {
		return "", false
	}
	return v, true
}

// rawValue is the table FIELD of section 2.
func rawValue(req Request, field Field) (string, bool) {
	kind, name, _ := strings.Cut(string(field), ".")
	switch kind {
	case "header":
		return header(req, name)
	case "cookie":
		v, present := req.Cookies[name]
		return v, present
	case "query":
		if all := req.Query[name]; len(all) > 0 {
			return all[0], true
		}
		return "", false
	case "path":
		return req.Path, true
	case "method":
		return req.Method, true
	case "user":
		if req.User != "" {
			return req.User, true
		}
		// An empty header names nobody: it would make one user of all who have none.
		v, present := header(req, "x-user-id")
		return v, present && v != ""
	case "lane":
		return requestLane(req)
	case "tag":
		v, present := tags(req)[name]
		return v, present
	default: // "caller"
		v, present := req.Caller[name]
		return v, present
	}
}

// header: "case-insensitive; present only if sent exactly once".
func header(req Request, name string) (string, bool) {
	var sent []string
	for n, values := range req.Headers {
		if strings.EqualFold(n, name) {
			sent = append(sent, values...)
		}
	}
	if len(sent) != 1 || len(sent[0]) > maxValue {
		return "", false
	}
	return sent[0], true
}

// requestLane is the lane of a request: "A lane that is not a name is no lane".
func requestLane(req Request) (string, bool) {
	if !isName(req.Lane) {
		return "", false
	}
	return req.Lane, true
}

// tags reads the header `x-tag: k=v,k2=v2`; "a malformed header has no tags".
func tags(req Request) map[string]string {
	text, present := header(req, "x-tag")
	if !present {
		return nil
	}
	found := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, v, split := strings.Cut(strings.Trim(pair, " "), "=")
		_, twice := found[key]
		if !split || !labelPattern.MatchString(key) || v == "" || twice {
			return nil
		}
		found[key] = v
	}
	return found
}

// holds is: "A condition is a map FIELD → test, all of which must hold; or a
// list of such maps, one of which must hold".
func (c Condition) holds(req Request) bool {
	for _, tests := range c {
		all := true
		for field, test := range tests {
			v, present := value(req, field)
			if !test.holds(v, present) {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// holds is the table of tests of section 2.
func (t Test) holds(v string, present bool) bool {
	switch t.Kind {
	case NotEqual:
		return !present || !slices.Contains(t.Values, v)
	case Absent:
		return !present
	default:
		return present && t.holdsFor(v)
	}
}

func (t Test) holdsFor(v string) bool {
	switch t.Kind {
	case Equal:
		return slices.Contains(t.Values, v)
	case Prefix:
		return strings.HasPrefix(v, t.Values[0])
	case Suffix:
		return strings.HasSuffix(v, t.Values[0])
	case Regex:
		return regexp.MustCompile(`\A(?:` + t.Values[0] + `)\z`).MatchString(v)
	case Range:
		if !decimalPattern.MatchString(v) {
			return false
		}
		n := decimal(v)
		return decimal(t.Values[0]).Cmp(n) <= 0 && n.Cmp(decimal(t.Values[1])) <= 0
	default: // Exists
		return true
	}
}

// decimal returns the number that s, of the grammar of decimals, means.
func decimal(s string) *big.Rat {
	whole, fraction, _ := strings.Cut(s, ".")
	digits, _ := new(big.Int).SetString(whole+fraction, 10)
	one := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil)
	return new(big.Rat).SetFrac(digits, one)
}
