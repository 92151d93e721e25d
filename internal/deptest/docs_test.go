package deptest_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

// What docs/rules.md shows is run. Its conventions:
//
//   - The first line of a yaml block is a comment with the document's name. It is
//     accepted without a warning, and in force until the end of its section. A
//     service without a document in the section has that of the first section.
//   - A table whose first column is called "request" says who gets it: versions, or
//     addresses. Above a column, "with" and fields change the document, and "at" names
//     another service than order.
//   - A table that begins with "rule" and "with" changes one field of the section's
//     document per row. Without a rule it is a field of the document.
//   - In a console block, cat makes a file; everything else is run.
//
// A block or a table that is none of these, nor in the list of those that are for
// people alone, is an error.

// rulesPage is docs/rules.md while it is run.
type rulesPage struct {
	smallest  string                         // the first document
	docs      map[string]string              // of the section, by name
	instances map[string][]registry.Instance // by service
	dir       string                         // where commands run
	nacos     *nacostest.Server
}

func TestRulesPageIsTrue(t *testing.T) {
	p := &rulesPage{
		docs: map[string]string{}, instances: map[string][]registry.Instance{},
		dir: t.TempDir(), nacos: nacostest.Run(t),
	}
	run(t, filepath.Join("..", ".."), nil, "go", "build", "-o", p.bin()+string(filepath.Separator), "./cmd/graylane")
	section, ran := "", map[string]int{}
	for i, part := range readPage(t, "rules.md") {
		if part.section != section {
			section, p.docs = part.section, map[string]string{}
		}
		kind := part.kind
		if kind == "table" {
			kind = part.header[0]
		}
		ran[kind]++
		t.Run(fmt.Sprint(i, " ", section, " ", kind), func(t *testing.T) { p.run(t, &part) })
	}
	for kind, least := range map[string]int{"yaml": 8, "request": 6, "request from outside": 1, "rule": 2, "console": 1, "go": 1, "FIELD": 1, "test": 1} {
		assert.GreaterOrEqual(t, ran[kind], least, kind)
	}
}

// bin returns where the command graylane is.
func (p *rulesPage) bin() string { return filepath.Join(p.dir, "bin") }

func (p *rulesPage) run(t *testing.T, part *part) {
	t.Helper()
	switch part.kind {
	case "yaml":
		p.document(t, part.text)
		return
	case "console":
		p.console(t, part.text)
		return
	case "go":
		compile(t, part.text)
		return
	case "table":
	default:
		t.Fatalf("a block of %q; there are yaml, console and go", part.kind)
	}
	switch part.header[0] {
	case "request":
		p.requests(t, part)
	case "request from outside":
		p.fromOutside(t, part)
	case "rule":
		p.changes(t, part)
	case "service":
		p.instanceTable(t, part)
	case "FIELD":
		p.fields(t, part)
	case "test":
		p.tests(t, part)
	case "what goes wrong":
		p.logged(t, part)
	case "document", "refused because": // for people
	default:
		t.Fatalf("a table of %q", part.header)
	}
}

func (p *rulesPage) document(t *testing.T, text string) {
	t.Helper()
	name := regexp.MustCompile(`\A# (\S+\.yaml)\n`).FindStringSubmatch(text)
	require.NotNil(t, name, "the first line names the document")
	problems, err := config.Lint(name[1], []byte(text), nil)
	require.NoError(t, err)
	require.Empty(t, problems, "%v", problems)
	if p.docs[name[1]] = text; p.smallest == "" {
		p.smallest = text
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, name[1]), []byte(text), 0o600))
}

func (p *rulesPage) instanceTable(t *testing.T, part *part) {
	t.Helper()
	for _, row := range part.rows {
		service, addr := spans(row[0])[0], spans(row[1])[0]
		in := registry.NewInstance(addr)
		in.Metadata = map[string]string{}
		for i, label := range part.header[2:] {
			if label == "healthy" {
				in.Healthy = row[2+i] != "no"
			} else if value := spans(row[2+i]); len(value) == 1 {
				in.Metadata[spans(label)[0]] = value[0]
			}
		}
		p.instances[service] = append(p.instances[service], in)
	}
}

// decide says who gets the requests: versions, or addresses if these are wanted,
// and how many requests each; refusals by their HTTP status.
func (p *rulesPage) decide(t *testing.T, service, doc, globalDoc string, requests []*askedOf, addresses bool) map[string]int {
	t.Helper()
	var rules *config.Rules
	var global *config.Global
	var problems config.Problems
	if doc != "" {
		rules, problems = config.ParseRules("", service, []byte(doc))
		require.NotNil(t, rules, "%v", problems)
	}
	if globalDoc != "" {
		global, problems = config.ParseGlobal("", []byte(globalDoc))
		require.NotNil(t, global, "%v", problems)
	}
	require.NotEmpty(t, p.instances[service])
	snapshot := registry.NewSnapshot(registry.Service{Name: service}, 1, p.instances[service])
	versions := map[string]string{}
	for _, in := range p.instances[service] {
		versions[in.Addr] = in.Version()
	}
	var director *balancer.Director
	got := map[string]int{}
	for _, r := range requests {
		if director == nil {
			director = balancer.Build(rules, global, snapshot, balancer.Options{Caller: r.caller}, nil)
		}
		decision, err := director.Decide(r)
		switch {
		case errors.Is(err, balancer.ErrUnknownTarget):
			got["400"]++
			continue
		case err != nil:
			got["503"]++
			continue
		}
		names := map[string]bool{}
		for e := range decision.Candidates() {
			if addresses {
				names[e.Addr()] = true
			} else {
				names[versions[e.Addr()]] = true
			}
		}
		for name := range names {
			got[name]++
		}
	}
	return got
}

// holds compares a cell with what is decided.
func (p *rulesPage) holds(t *testing.T, cell, service, doc, global string, requests []*askedOf) {
	t.Helper()
	want, addresses := map[string]int{}, false
	said := regexp.MustCompile("`([^`]+)`(?: (\\d+))?")
	for _, m := range said.FindAllStringSubmatch(cell, -1) {
		addresses = addresses || strings.Contains(m[1], ":")
		want[m[1]] = len(requests)
		if m[2] != "" {
			want[m[1]], _ = strconv.Atoi(m[2])
		}
	}
	require.Empty(t, strings.Trim(strings.TrimPrefix(said.ReplaceAllString(cell, ""), "refused:"), ", "), "what is %q?", cell)
	assert.Equal(t, want, p.decide(t, service, doc, global, requests, addresses), "%s\n%s%s", cell, doc, global)
}

// requests runs a table of requests. A column whose name is a switch's says its
// value.
func (p *rulesPage) requests(t *testing.T, part *part) {
	t.Helper()
	for _, row := range part.rows {
		requests := parseRequests(t, row[0])
		for i, head := range part.header[1:] {
			if head == "why" {
				continue
			}
			if p.docs["switches.order.yaml"] != "" {
				s, _ := config.ParseSwitches("", []byte(p.docs["switches.order.yaml"]))
				require.NotNil(t, s.Lookup(spans(head)[0]), head)
				value, ok := s.Lookup(spans(head)[0]).Value(requests[0], nil).Bool()
				require.True(t, ok)
				assert.Equal(t, "`"+strconv.FormatBool(value)+"`", row[1+i], row[0])
				continue
			}
			service, doc, global := p.column(t, head)
			p.holds(t, row[1+i], service, doc, global, requests)
		}
	}
}

// column returns what the name of a column says of the documents.
func (p *rulesPage) column(t *testing.T, head string) (service, doc, global string) {
	t.Helper()
	if head == "without a document" {
		return "order", "", ""
	}
	m := regexp.MustCompile("^(?:goes to|at `([a-z]+)`)?(?:,? ?with (.+))?$").FindStringSubmatch(head)
	require.NotNil(t, m, "what is the column %q?", head)
	service, global = "order", p.docs[config.GlobalDocID]
	if m[1] != "" {
		service = m[1]
	}
	doc, ok := p.docs[config.ServiceDocID(service)]
	if !ok {
		doc = p.smallest
	}
	for _, field := range spans(m[2]) {
		if ok {
			doc = change(t, doc, "", field)
		} else {
			require.NotEmpty(t, global)
			global = change(t, global, "", field)
		}
	}
	return service, doc, global
}

// changes runs a table of which each row changes a field of the section's document:
// the linter finds that, or a request goes there.
func (p *rulesPage) changes(t *testing.T, part *part) {
	t.Helper()
	require.Equal(t, "with", part.header[1])
	for _, row := range part.rows {
		rule := strings.Join(spans(row[0]), "")
		doc := p.docs["gray.order.yaml"]
		for _, field := range spans(row[1]) {
			doc = change(t, doc, rule, field)
		}
		if part.header[2] == "request" {
			p.holds(t, row[3], "order", doc, p.docs[config.GlobalDocID], parseRequests(t, row[2]))
			continue
		}
		require.Equal(t, "`lint` says", part.header[2])
		problems, err := config.Lint("gray.order.yaml", []byte(doc), func(labels map[string]string) bool {
			return slices.ContainsFunc(p.instances["order"], func(in registry.Instance) bool { return balancer.Belongs(&in, labels) })
		})
		require.NoError(t, err)
		var codes []string
		for _, problem := range problems {
			codes = append(codes, problem.Code)
		}
		assert.Equal(t, spans(row[2]), slices.Compact(codes), doc)
	}
}

// fromOutside sends the requests of a table through an edge, and then on.
func (p *rulesPage) fromOutside(t *testing.T, part *part) {
	t.Helper()
	r, err := resolver.New(memory.New(), configmemory.New(p.docs))
	require.NoError(t, err)
	defer r.Close()
	entered := ""
	edge := httpx.Handler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		entered = lane.From(req.Context())
	}), httpx.Enter(r))
	require.Equal(t, "lane", part.header[1])
	for _, row := range part.rows {
		requests := parseRequests(t, row[0])
		count := 0
		for _, asked := range requests {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://edge"+asked.path, http.NoBody)
			maps.Copy(req.Header, asked.headers)
			if asked.user != "" {
				req.Header.Set(lane.HeaderUser, asked.user)
			}
			edge.ServeHTTP(httptest.NewRecorder(), req)
			if asked.lane = entered; entered != "" {
				count++
			}
		}
		if len(requests) > 1 {
			assert.Equal(t, fmt.Sprintf("`%d` of them", count), row[1], row[0])
		} else {
			assert.Equal(t, strings.Join(spans(row[1]), ""), entered, row[0])
		}
		for i, head := range part.header[2:] {
			service, doc, global := p.column(t, head)
			p.holds(t, row[2+i], service, doc, global, requests)
		}
	}
}

// fields holds the table of FIELDs against what the reader of documents knows.
func (p *rulesPage) fields(t *testing.T, part *part) {
	t.Helper()
	var shown []string
	for _, row := range part.rows {
		shown = append(shown, spans(row[0])...)
	}
	_, problems := config.ParseRules("", "order", []byte(p.smallest+"balance: {hash: unknown}\n"))
	require.Len(t, problems, 1)
	_, known, _ := strings.Cut(problems[0].Message, "a request: ")
	assert.ElementsMatch(t, strings.Split(known, ", "), shown)
}

// tests reads each test of the table, and holds their list against the reader's.
func (p *rulesPage) tests(t *testing.T, part *part) {
	t.Helper()
	when := func(test string) config.Problems {
		_, problems := config.ParseRules("", "order", []byte(p.smallest+"rules:\n- {name: r, when: {user: "+test+"}, to: v2}\n"))
		return problems
	}
	shown := map[string]bool{}
	for _, row := range part.rows {
		for _, test := range spans(row[0]) {
			assert.Empty(t, when(test), test)
			if key, _, ok := strings.Cut(test, ":"); ok {
				shown[strings.Trim(key, "{")] = true
			}
		}
	}
	problems := when("{unknown: x}")
	require.Len(t, problems, 1)
	_, known, _ := strings.Cut(problems[0].Message, "there are: ")
	assert.ElementsMatch(t, strings.Split(known, ", "), slices.Collect(maps.Keys(shown)))
}

// logged compares what consumers are said to log with what they do log.
func (p *rulesPage) logged(t *testing.T, part *part) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "telemetry", "zapx", "zapx.go"))
	require.NoError(t, err)
	known := string(source) + errors.Join(resolver.ErrDocumentGone, resolver.ErrNoDefault,
		resolver.ErrSeveralVersions, resolver.ErrNoDocument).Error()
	for _, row := range part.rows {
		require.Len(t, spans(row[len(row)-1]), 1)
		assert.Contains(t, known, spans(row[len(row)-1])[0])
	}
}

// console runs the commands of a block. The address of a Nacos in them is that of a
// server that has the documents of the section, and the instances of the page.
func (p *rulesPage) console(t *testing.T, text string) {
	t.Helper()
	for id, doc := range p.docs {
		p.nacos.Publish(config.DefaultGroup, id, doc)
	}
	for service, list := range p.instances {
		for _, in := range list {
			addr := netip.MustParseAddrPort(in.Addr)
			p.nacos.Register(registry.Service{Name: service}, nacostest.NewInstance(addr.Addr().String(), int(addr.Port()), in.Metadata))
		}
	}
	for _, block := range strings.Split("\n"+text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(block+"\n", "\n")
		for strings.HasSuffix(command, `\`) {
			var more string
			more, want, _ = strings.Cut(want, "\n")
			command += "\n" + more
		}
		want = strings.TrimRight(want, "\n")
		if file, ok := strings.CutPrefix(command, "cat "); ok {
			require.NoError(t, os.WriteFile(filepath.Join(p.dir, file), []byte(want+"\n"), 0o600))
			continue
		}
		command = strings.ReplaceAll(command, "127.0.0.1:8848", p.nacos.Addr())
		got := run(t, p.dir, []string{"PATH=" + p.bin() + string(filepath.ListSeparator) + os.Getenv("PATH")}, "sh", "-c", command)
		assert.Equal(t, want, strings.TrimRight(got, "\n"), command)
	}
}

// TestRulesPageNamesTheCarriedHeaders: what a rule can ask for behind the first
// service.
func TestRulesPageNamesTheCarriedHeaders(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "rules.md"))
	require.NoError(t, err)
	for _, name := range lane.DefaultHeaders() {
		assert.Equal(t, 1, strings.Count(string(text), "`"+name+"`, "), name)
	}
}

// TestLinksOfThePagesLead follows the links that stay in the repository.
func TestLinksOfThePagesLead(t *testing.T) {
	anchors := func(file string) []string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var out []string
		for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
			slug := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
			out = append(out, strings.ReplaceAll(slug, " ", "-"))
		}
		return out
	}
	followed := 0
	for _, page := range []string{
		"docs/rules.md", "docs/rule-language.md", "docs/operating.md", "docs/telemetry.md", "docs/reliability.md", "docs/faults.md",
		"README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md",
	} {
		page = filepath.Join("..", "..", filepath.FromSlash(page))
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		prose := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`").ReplaceAllString(string(text), "")
		for _, m := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			followed++
			path, anchor, some := strings.Cut(m[1], "#")
			file := page
			if path != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(path))
			}
			_, err := os.Stat(file)
			require.NoError(t, err, "%s: %s", page, m[1])
			assert.True(t, !some || slices.Contains(anchors(file), anchor), "%s: %s", page, m[1])
		}
	}
	assert.Greater(t, followed, 20)
}

// TestSpecificationExamplesAreAccepted reads the examples of the specification, and
// looks for the files that it names.
func TestSpecificationExamplesAreAccepted(t *testing.T) {
	var kinds []string
	for _, part := range readPage(t, "rule-language.md") {
		if part.kind != "yaml" {
			continue
		}
		name := "gray.order.yaml"
		switch {
		case strings.Contains(part.text, "\nswitches:"):
			name = "switches.order.yaml"
		case strings.Contains(part.text, "\nlanes:"):
			name = config.GlobalDocID
		}
		kinds = append(kinds, name)
		problems, err := config.Lint(name, []byte(part.text), nil)
		require.NoError(t, err)
		assert.Empty(t, problems, part.text)
	}
	assert.Equal(t, []string{"gray.order.yaml", config.GlobalDocID, "switches.order.yaml"}, kinds)

	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "rule-language.md"))
	require.NoError(t, err)
	for _, file := range []string{"balancer/testdata/decide.jsonl", "config/testdata/lint.jsonl"} {
		assert.Equal(t, 1, strings.Count(string(text), "`"+file+"`"), file)
		assert.FileExists(t, filepath.Join("..", "..", filepath.FromSlash(file)))
	}
	assert.Equal(t, 1, strings.Count(string(text), fmt.Sprintf("at most %d MiB", config.MaxCompiled>>20)))
	slots := regexp.MustCompile("salt `([^`]+)` and key `([^`]+)` the slot is (\\d+)").FindStringSubmatch(string(text))
	require.NotNil(t, slots)
	assert.Equal(t, slots[3], strconv.Itoa(config.Slot(slots[1], slots[2])))
}
