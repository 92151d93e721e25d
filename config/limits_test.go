package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbered repeats part, in which N counts from 1.
func numbered(n int, part string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(part, "N", strconv.Itoa(i+1)))
	}
	return b.String()
}

func TestProblemsAreBounded(t *testing.T) {
	const root = "gray: v1\ndefault: v1\n"
	document := func(n int) string { return root + "isolate: [" + strings.Repeat("a,", n) + "]\n" }

	all := lintRules(document(MaxProblems))
	assert.Len(t, all, MaxProblems)
	assert.NotContains(t, all.Error(), "not reported")

	for _, n := range []int{MaxProblems + 1, 2 * MaxProblems} {
		some := lintRules(document(n))
		require.Len(t, some, MaxProblems+1)
		require.Error(t, some.Err())
		last := some[MaxProblems]
		assert.Contains(t, last.Message, "the document has more than 1000 errors, the others are not reported")
		assert.Equal(t, []string{fmt.Sprintf("3:%d bad-address", 11+2*MaxProblems)}, places(some[MaxProblems:]))
		assert.Equal(t, all, some[:MaxProblems], "the first are")
	}
}

func TestManyWarningsDoNotHideAnError(t *testing.T) {
	content := rule("name: a", "to: v2", "when:", "- {user: u}\n"+numbered(MaxProblems+200, "  - {path: {regex: aN}}\n")+"  missing: fial")
	problems := lintRules(content)
	require.Error(t, problems.Err())
	assert.Len(t, problems, MaxProblems+2)
	last := problems[len(problems)-1]
	assert.Equal(t, codeBadValue, last.Code)
	assert.Contains(t, problems[MaxProblems].Message, "more than 1000 warnings")

	accepted, problems := ParseRules("f", "order", []byte(strings.Replace(content, "fial", "fail", 1)))
	assert.NotNil(t, accepted)
	assert.Len(t, problems, MaxProblems+1)
}

func TestAnotherVersionIsAllThatIsSaidAfterManyProblemsToo(t *testing.T) {
	content := "a: {" + strings.Repeat("b,", 3*MaxProblems) + "}\ngray: v2\n"
	assert.Equal(t, []string{"2:7 unsupported-version"}, lint(content))
}

func TestHintsAreBounded(t *testing.T) {
	problems := lintRules("gray: v1\ndefault: v1\n" + "rules:\n" + numbered(maxHints+50, "- {name: aN, by: usr}\n"))
	require.Len(t, problems, maxHints+50)
	hinted := 0
	for _, p := range problems {
		if strings.Contains(p.Message, `did you mean "user"?`) {
			hinted++
		}
	}
	assert.Equal(t, maxHints, hinted)
}

func TestPatternsOfADocumentAreBounded(t *testing.T) {
	when := func(patterns string) string { return rule("name: a", "to: v2", "when:\n"+patterns) }
	const usual = "  - path: {regex: '/api/vN/orders/[0-9]+'}\n"
	assert.Empty(t, lint(when(numbered(1000, usual))), "what a person might write")

	// What is refused takes nothing from the others.
	large := "  - path: {regex: '" + strings.Repeat(".{999}", 42) + "'}\n"
	huge := strings.Replace(large, ".{999}.{999}", `(?:\pL{30}){30}`, 1)
	assert.Equal(t, []string{"8:19 bad-regex"}, lint(when(usual+huge+usual)))
	assert.Contains(t, lintRules(when(huge)).Error(), "the document's patterns take more than")

	assert.Empty(t, lint(when(large)))
	assert.Empty(t, lint(when(strings.Repeat(large, 200))), "the same pattern is compiled once")
	other := strings.Replace(large, ".", "[^a]", 1)
	assert.Equal(t, []string{"8:19 bad-regex"}, lint(when(large+other+large)))

	// A class costs what its table is long, also where nothing of it is left.
	classes := func(name string) string { return "  - path: {regex: '[" + strings.Repeat(name, 24) + "]N'}\n" }
	assert.Empty(t, lint(when(numbered(50, classes(`\p{Han}`)))))
	assert.NotEmpty(t, lint(when(numbered(50, classes(`\pL\PL`)))))
	assert.NotEmpty(t, lint(when(numbered(50, classes(`\p{Letter}`)))))
}

// The estimate is what bounds the memory of a document's patterns.
func TestWhatAPatternCostsIsNearWhatItTakes(t *testing.T) {
	for _, pattern := range []string{
		".", "abc", "qa-[0-9]+", `[a-z]+@[a-z]+\.com`, strings.Repeat("a|b", 85), strings.Repeat("ab|", 85) + "x", ".{999}",
		strings.Repeat(".{999}", 42), strings.Repeat(`(?i)\pL`, 36), `(\pL{30}){30}`, strings.Repeat("(", 120) + "a" + strings.Repeat(")", 120),
		strings.Repeat("(a)", 85), strings.Repeat(`\PL`, 80), strings.Repeat("a*", 128), strings.Repeat(`\w`, 128), strings.Repeat("a", 256),
		strings.Repeat("(?i)k", 50), "(?:a{1,1000})", strings.Repeat(`.{0,9}`, 42), "[" + strings.Repeat("é", 120) + "]{200}",
		"[" + strings.Repeat(`\pL`, 80) + "]", "[" + strings.Repeat(`\pL\PL`, 40) + "]", strings.Repeat(`\p{Any}`, 36), `((a{30}){30}){1}`,
		"[" + strings.Repeat(`\p{Cn}`, 41) + "]", "[" + strings.Repeat(`\P{^Lu}`, 36) + "]", "(?i)[" + strings.Repeat(`\p{Lu}`, 40) + "]",
		strings.Repeat("[a-z]{50}", 20), strings.Repeat("(?:a?)", 42), strings.Repeat("(?:(?:a{9}){9}){9}", 14), strings.Repeat("[^a]", 64),
		strings.Repeat(`(?i)\p{Greek}`, 19), "(?i)" + strings.Repeat("k", 250), strings.Repeat("(?:(a)|b)+", 25),
	} {
		var r reader
		_, err := r.compile(pattern)
		require.NoError(t, err, pattern)
		took := measure(pattern, func() {
			var again reader
			_, _ = again.compile(pattern)
		})
		if underRace {
			continue
		}
		assert.GreaterOrEqual(t, float64(r.compiled), 0.85*float64(took.allocated), "%.40s takes %d", pattern, took.allocated)
		t.Logf("%-40.40s cost %8d took %8d", pattern, r.compiled, took.allocated)
	}
}
