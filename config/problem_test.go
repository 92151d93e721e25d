package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// table holds documents of one kind and their problems.
type table struct {
	lint  func(content string) Problems
	cases map[string]wrong
}

type wrong struct {
	content string
	want    []string // "LINE:COL CODE" of each problem
}

func (tt table) run(t *testing.T) {
	t.Helper()
	for name, c := range tt.cases {
		t.Run(name, func(t *testing.T) {
			problems := tt.lint(c.content)
			assert.Equal(t, c.want, places(problems), "%.300s\n%s", c.content, problems)
			for _, p := range problems {
				assert.Less(t, len(p.Message), maxMessage, p.Message)
				assert.NotEmpty(t, p.Excerpt([]byte(c.content+"\n")), p)
			}
		})
	}
}

// places returns problems as "LINE:COL CODE", nil if there are none.
func places(problems Problems) []string {
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Code))
	}
	return got
}

// codes returns the constants of the codes, in their order.
func codes(tb testing.TB) []string {
	tb.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "problem.go", nil, 0)
	require.NoError(tb, err)
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "code") {
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			require.NoError(tb, err)
			all = append(all, code)
		}
		return true
	})
	return all
}

func TestTheCodesAreThoseOfTheLanguage(t *testing.T) {
	text, err := os.ReadFile("../docs/rule-language.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## 8. Codes\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	assert.Equal(t, listed, codes(t))
}

func TestEveryCodeHasItsCase(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range []table{documentProblems(), ruleProblems(), conditionProblems(), fieldProblems(), guardProblems(), globalProblems(), switchProblems(), instanceProblems()} {
		for _, c := range tt.cases {
			for _, place := range c.want {
				_, code, _ := strings.Cut(place, " ")
				seen[code] = true
			}
		}
	}
	// They need a document of more than a line of a table, and have tests.
	seen[codeTooManyRules] = true
	for _, code := range codes(t) {
		assert.True(t, seen[code], "no case for %s", code)
		delete(seen, code)
	}
	assert.Empty(t, seen, "cases that no code can have")
}

func TestAnErrorIsWhatRefuses(t *testing.T) {
	warnings := []string{codeUnreachable, codeRegexNotNeeded, codeUnstableSticky, codeNoInstance}
	for _, tt := range []table{documentProblems(), ruleProblems(), conditionProblems(), fieldProblems(), guardProblems(), globalProblems(), switchProblems(), instanceProblems()} {
		for name, c := range tt.cases {
			for _, p := range tt.lint(c.content) {
				assert.Equal(t, slices.Contains(warnings, p.Code), p.Severity == Warning, "%s: %s", name, p)
			}
		}
	}
}
