package reference

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The functions below read documents that are known to be valid: they look at
// what they know, and check nothing.

// readDocument reads a service document.
func readDocument(t *testing.T, text string) *Document {
	t.Helper()
	root := readMap(t, text)
	d := &Document{
		Service: str(root["service"]), Off: root["enabled"] == false, Default: str(root["default"]),
		Isolate: strs(root["isolate"]), Prefer: strs(root["prefer"]),
		PreferMin: share(root["prefer_min"]), DegradeAny: root["degrade"] == "any",
	}
	if targets, ok := root["targets"].(map[string]any); ok {
		d.Targets = map[string]map[string]string{}
		for name, labels := range targets {
			d.Targets[name] = readLabels(labels)
		}
	}
	rules, _ := root["rules"].([]any)
	for _, r := range rules {
		d.Rules = append(d.Rules, readRule(r.(map[string]any)))
	}
	return d
}

// readGlobal reads a global document.
func readGlobal(t *testing.T, text string) *Global {
	t.Helper()
	g := &Global{Lanes: map[string]Lane{}}
	lanes, _ := readMap(t, text)["lanes"].(map[string]any)
	for name, l := range lanes {
		fields, _ := l.(map[string]any)
		g.Lanes[name] = Lane{Match: readLabels(fields["match"]), Fail: fields["missing"] == "fail"}
	}
	return g
}

func readRule(fields map[string]any) Rule {
	r := Rule{
		Name: str(fields["name"]), Off: fields["enabled"] == false,
		When: readCondition(fields["when"]), Unless: readCondition(fields["unless"]),
		By: Field(str(fields["by"])), Sticky: Field(str(fields["sticky"])),
		Salt: str(fields["salt"]), Fail: fields["missing"] == "fail",
	}
	if arms, ok := fields["to"].(map[string]any); ok {
		r.Arms = map[string]int{}
		for name, p := range arms {
			r.Arms[name] = share(p)
		}
		return r
	}
	r.To = str(fields["to"])
	return r
}

func readCondition(v any) Condition {
	switch v := v.(type) {
	case map[string]any:
		tests := map[Field]Test{}
		for field, test := range v {
			tests[Field(field)] = readTest(test)
		}
		return Condition{tests}
	case []any:
		var c Condition
		for _, m := range v {
			c = append(c, readCondition(m)...)
		}
		return c
	default:
		return nil
	}
}

func readTest(v any) Test {
	m, ok := v.(map[string]any)
	if !ok {
		return Test{Equal, strs(v)}
	}
	word := slices.Collect(maps.Keys(m))[0]
	switch word {
	case "exists":
		if m[word] == true {
			return Test{Kind: Exists}
		}
		return Test{Kind: Absent}
	default:
		kinds := map[string]Kind{"not": NotEqual, "prefix": Prefix, "suffix": Suffix, "regex": Regex, "range": Range}
		return Test{kinds[word], strs(m[word])}
	}
}

func readMap(t *testing.T, text string) map[string]any {
	t.Helper()
	root := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &root))
	return root
}

func readLabels(v any) map[string]string {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	labels := map[string]string{}
	for name, value := range m {
		labels[name] = str(value)
	}
	return labels
}

// str returns a scalar as text; numbers are decimals, as in a range.
func str(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// strs returns a list, or a single value as a list of one.
func strs(v any) []string {
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return []string{str(v)}
	}
	var out []string
	for _, e := range list {
		out = append(out, str(e))
	}
	return out
}

// share returns a percent in slots.
func share(v any) int {
	if v == nil {
		return 0
	}
	percent, _ := new(big.Rat).SetString(strings.TrimSuffix(str(v), "%"))
	n, _ := new(big.Rat).Mul(percent, big.NewRat(slots, 100)).Float64()
	return int(n)
}
