package deptest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

// part is a block or a table of a page, with the heading of its section: one with
// two hashes.
type part struct {
	section string
	kind    string // language of a block, or "table"
	text    string
	header  []string
	rows    [][]string
}

// readPage returns the parts of a page in their order.
func readPage(t *testing.T, name string) []part {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	require.NoError(t, err)
	var parts []part
	section, fence := "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch last := len(parts) - 1; {
		case strings.HasPrefix(line, "```"):
			if fence = !fence; fence {
				parts = append(parts, part{section: section, kind: line[3:]})
			}
		case fence:
			parts[last].text += line + "\n"
		case strings.HasPrefix(line, "## "):
			section = line[3:]
		case !strings.HasPrefix(line, "|"):
			if last >= 0 && line == "" && parts[last].kind == "table" {
				parts = append(parts, part{kind: "gap"}) // the next table is another one
			}
		case last >= 0 && parts[last].kind == "table":
			if !strings.HasPrefix(line, "|--") {
				parts[last].rows = append(parts[last].rows, cells(line))
			}
		default:
			parts = append(parts, part{section: section, kind: "table", header: cells(line)})
		}
	}
	return slices.DeleteFunc(parts, func(p part) bool { return p.kind == "gap" })
}

func cells(line string) []string {
	out := strings.Split(strings.Trim(line, "|"), "|")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

var span = regexp.MustCompile("`([^`]+)`")

// spans returns what stands in backquotes.
func spans(s string) []string {
	var out []string
	for _, m := range span.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// change returns a document in which a field, as "key: value", is another, or is
// added. Rule: that of this name; "": at the top, or the one arm or test of this key.
func change(t *testing.T, doc, rule, field string) string {
	t.Helper()
	before, region, after, indent := "", doc, "", ""
	if rule != "" {
		at := regexp.MustCompile(`(?m)^- name: ` + regexp.QuoteMeta(rule) + `\n(?:  .*\n)*`).FindStringIndex(doc)
		require.NotNil(t, at, "rule %q", rule)
		before, region, after, indent = doc[:at[0]], doc[at[0]:at[1]], doc[at[1]:], "  "
	}
	key, _, _ := strings.Cut(field, ":")
	key = regexp.QuoteMeta(key)
	for _, pattern := range []string{`(?m)^(` + indent + `|- |  )` + key + `:.*$`, `([{,] *)` + key + `: [^,}\n]*`} {
		re := regexp.MustCompile(pattern)
		if n := len(re.FindAllString(region, -1)); n > 0 {
			require.Equal(t, 1, n, "fields %q in %s", key, region)
			return before + re.ReplaceAllString(region, "${1}"+strings.ReplaceAll(field, "$", "$$")) + after
		}
	}
	return before + region + indent + field + "\n" + after
}

// askedOf is a request of a table.
type askedOf struct {
	headers          map[string][]string // by canonical name
	caller           map[string]string
	path, user, lane string
}

var _ config.Request = (*askedOf)(nil)

func (r *askedOf) Header(n config.HeaderName) (string, bool) {
	if vs := r.headers[n.Canonical]; len(vs) == 1 {
		return vs[0], true
	}
	return "", false
}
func (r *askedOf) Cookie(string) (string, bool) { return "", false }
func (r *askedOf) Query(string) (string, bool)  { return "", false }
func (r *askedOf) Path() string                 { return r.path }
func (r *askedOf) Method() string               { return http.MethodGet }
func (r *askedOf) Lane() string                 { return r.lane }
func (r *askedOf) User() string {
	if r.user != "" {
		return r.user
	}
	v, _ := r.Header(config.NewHeaderName(lane.HeaderUser))
	return v
}

// parseRequests reads "header `x-tester: yes`, user `u1`, path `/pay`, lane `l`,
// caller `region: sh`", "any", "10000 × …" and "users `u1` to `u1000`".
func parseRequests(t *testing.T, cell string) []*askedOf {
	t.Helper()
	times := 1
	if n, rest, ok := strings.Cut(cell, " × "); ok {
		var err error
		times, err = strconv.Atoi(n)
		require.NoError(t, err)
		cell = rest
	}
	if m := regexp.MustCompile("^users `u1` to `u(\\d+)`$").FindStringSubmatch(cell); m != nil {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		out := make([]*askedOf, n)
		for i := range out {
			out[i] = &askedOf{path: "/", user: fmt.Sprint("u", i+1)}
		}
		return out
	}
	r := &askedOf{headers: map[string][]string{}, caller: map[string]string{}, path: "/"}
	piece := regexp.MustCompile("(header|user|path|lane|caller) `([^`]*)`")
	for _, m := range piece.FindAllStringSubmatch(cell, -1) {
		name, value, _ := strings.Cut(m[2], ": ")
		switch m[1] {
		case "header":
			canonical := config.NewHeaderName(name).Canonical
			r.headers[canonical] = append(r.headers[canonical], value)
		case "caller":
			r.caller[name] = value
		case "user":
			r.user = m[2]
		case "path":
			r.path = m[2]
		case "lane":
			r.lane = m[2]
		}
	}
	require.Empty(t, strings.Trim(strings.TrimPrefix(piece.ReplaceAllString(cell, ""), "any"), ", "), "what is %q?", cell)
	return slices.Repeat([]*askedOf{r}, times)
}

// compile compiles the lines of a function, inside the module, without writing
// them there.
func compile(t *testing.T, body string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	source, overlay := filepath.Join(t.TempDir(), "page.go"), filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(source, []byte(`package page

import (
	"context"

	"github.com/graylane/graylane"
)

func newCode() {}

func page(ctx context.Context, gl *graylane.Client) error {
`+body+`	return nil
}
`), 0o600))
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, "page", "page.go"): source}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))
	run(t, root, nil, "go", "build", "-overlay", overlay, "./page")
}

// run runs a program and returns what it says.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && (name != "sh" || !ended) { // lint may have found something
		t.Fatalf("%s %q: %v\n%s", name, args, err, out.String())
	}
	return out.String()
}
