package judge

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const slots = 10_000

// document is a service document, of the part of the language that the judge
// knows.
type document struct {
	enabled bool
	def     string                       // "" where there is no document: every baseline instance
	targets map[string]map[string]string // nil: a target's name is a version
	rules   []rule
}

type rule struct {
	name    string
	enabled bool
	when    []map[string][]string // one of them must hold; FIELD → one of the values; empty: always
	to      string                // the only target, where there is no split
	arms    []arm                 // without the default's
	split   bool
	by      string
	sticky  string
	salt    string
	strict  bool
}

// arm takes the slots [from, to).
type arm struct {
	target   string
	from, to int
}

// noDocument is section 6: a request may name a version, else the version that
// the consumer was started with, or any, will do.
func noDocument(version string) *document {
	return &document{enabled: true, def: version, rules: []rule{{enabled: true, by: "header.x-gray-version"}}}
}

// read reads a document that is known to be valid.
func read(service, text string) (*document, error) {
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("judge: %s: %w", service, err)
	}
	d, err := readDocument(service, m)
	if err != nil {
		return nil, fmt.Errorf("judge: document of %s: %w", service, err)
	}
	return d, nil
}

func readDocument(service string, m map[string]any) (*document, error) {
	if err := known(m, "gray", "service", "enabled", "targets", "default", "balance", "rules"); err != nil {
		return nil, err
	}
	if m["gray"] != "v1" {
		return nil, fmt.Errorf("gray: %v is not v1", m["gray"])
	}
	d := &document{enabled: m["enabled"] != false}
	var err error
	if d.def, err = str(m, "default"); err != nil {
		return nil, err
	}
	if targets, ok := m["targets"].(map[string]any); ok {
		d.targets = map[string]map[string]string{}
		for name, v := range targets {
			if d.targets[name], err = labels(v); err != nil {
				return nil, fmt.Errorf("target %s: %w", name, err)
			}
		}
	}
	list, _ := m["rules"].([]any)
	for i, v := range list {
		rm, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("rule %d is no map", i+1)
		}
		r, err := readRule(service, d.def, rm)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		d.rules = append(d.rules, r)
	}
	return d, nil
}

func readRule(service, def string, m map[string]any) (rule, error) {
	if err := known(m, "name", "enabled", "when", "to", "by", "sticky", "salt", "missing"); err != nil {
		return rule{}, err
	}
	name, err := str(m, "name")
	if err != nil {
		return rule{}, err
	}
	r := rule{name: name, enabled: m["enabled"] != false, strict: m["missing"] == "fail", salt: service + "/" + name}
	r.by, _ = m["by"].(string)
	r.sticky, _ = m["sticky"].(string)
	if salt, ok := m["salt"].(string); ok {
		r.salt = salt
	}
	for _, field := range []string{r.by, r.sticky} {
		if field != "" && !judged(field) {
			return rule{}, fmt.Errorf("the judge does not know the field %q", field)
		}
	}
	if r.when, err = readWhen(m["when"]); err != nil {
		return rule{}, err
	}
	switch to := m["to"].(type) {
	case nil:
		if r.by == "" {
			return rule{}, errors.New("neither to nor by")
		}
	case string:
		r.to = to
	case map[string]any:
		r.split = true
		r.arms, err = readArms(to, def, r.sticky != "")
	default:
		err = fmt.Errorf("to: %v", to)
	}
	return r, err
}

// readArms gives each arm its slots. The default's arm is what is left over.
func readArms(to map[string]any, def string, sticky bool) ([]arm, error) {
	var arms []arm
	next := 0
	for _, target := range slices.Sorted(maps.Keys(to)) {
		share, err := percent(to[target])
		if err != nil {
			return nil, err
		}
		if target == def {
			continue
		}
		arms = append(arms, arm{target, next, next + share})
		next += share
	}
	if sticky && len(arms) == 2 {
		// The second grows downwards from the end, so that neither moves the other.
		last := &arms[1]
		last.from, last.to = slots-(last.to-last.from), slots
	}
	return arms, nil
}

func percent(v any) (int, error) {
	s, _ := v.(string)
	digits, ok := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || f < 0 || f > 100 {
		return 0, fmt.Errorf("%v is not a percent", v)
	}
	return int(f*100 + 0.5), nil
}

// readWhen reads a condition: a map, or a list of maps.
func readWhen(v any) ([]map[string][]string, error) {
	var list []any
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		list = v
	default:
		list = []any{v}
	}
	var when []map[string][]string
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("when: %v is no map", v)
		}
		tests := map[string][]string{}
		for field, test := range m {
			if !judged(field) {
				return nil, fmt.Errorf("the judge does not know the field %q", field)
			}
			values, ok := test.([]any)
			if !ok {
				values = []any{test}
			}
			for _, v := range values {
				s, ok := v.(string)
				if !ok {
					return nil, fmt.Errorf("the judge knows equality only, not %s: %v", field, v)
				}
				tests[field] = append(tests[field], s)
			}
		}
		when = append(when, tests)
	}
	return when, nil
}

// judged reports whether the judge knows the field.
func judged(field string) bool {
	switch field {
	case "path", "method", "user", "lane":
		return true
	}
	return strings.HasPrefix(field, "header.")
}

func known(m map[string]any, fields ...string) error {
	for k := range m {
		if !slices.Contains(fields, k) && !strings.HasPrefix(k, "x-") {
			return fmt.Errorf("the judge does not know %q", k)
		}
	}
	return nil
}

func str(m map[string]any, k string) (string, error) {
	s, ok := m[k].(string)
	if !ok {
		return "", fmt.Errorf("%s: %v is no string", k, m[k])
	}
	return s, nil
}

func labels(v any) (map[string]string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%v is no map", v)
	}
	out := map[string]string{}
	for k := range m {
		s, err := str(m, k)
		if err != nil {
			return nil, err
		}
		out[k] = s
	}
	return out, nil
}
