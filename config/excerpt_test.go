package config

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// excerpt is what Excerpt returns for a line and a caret.
func excerpt(line, caret string) string { return line + "\n" + caret }

func TestAnExcerptPointsAtTheColumn(t *testing.T) {
	const root = "gray: v1\ndefault: v1\n"
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct{ content, want string }{
		"a field":                    {root + "  \nprefre: a\n", excerpt("  prefre: a", "  ^")},
		"a value":                    {root + "degrade: all\n", excerpt("  degrade: all", "           ^")},
		"the last line without end":  {root + "degrade: all", excerpt("  degrade: all", "           ^")},
		"the first line":             {"gray: v2\n", excerpt("  gray: v2", "        ^")},
		"nothing, behind its key":    {root + "degrade:\n", excerpt("  degrade:", "          ^")},
		"tabs":                       {root + "degrade:\t\tall\n", excerpt("  degrade:  all", "            ^")},
		"lines of Windows":           {"gray: v1\r\ndefault: v1\r\ndegrade: all\r\nx-a: b\r\n", excerpt("  degrade: all", "           ^")},
		"lines of old":               {"gray: v1\rdefault: v1\rdegrade: all\r", excerpt("  degrade: all", "           ^")},
		"lines of Unicode":           {"gray: v1\u0085default: v1\u2028degrade: all\u2029", excerpt("  degrade: all", "           ^")},
		"a byte order mark":          {"\ufeffgray: v2\n", excerpt("  gray: v2", "        ^")},
		"a byte order mark far away": {"\ufeff" + root + "degrade: all\n", excerpt("  degrade: all", "           ^")},
		"Chinese":                    {root + "x-盐: {a: 盐}\n盐盐: 1\n", excerpt("  盐盐: 1", "  ^")},
		"behind Chinese":             {root + "targets: {v1: {a: 盐, b: 1}}\n", excerpt("  targets: {v1: {a: 盐, b: 1}}", "                           ^")},
		"behind what is half wide":   {root + "targets: {v1: {a: ｱ, b: 1}}\n", excerpt("  targets: {v1: {a: ｱ, b: 1}}", "                          ^")},
		"behind what is full wide":   {root + "targets: {v1: {a: ａ, b: 1}}\n", excerpt("  targets: {v1: {a: ａ, b: 1}}", "                           ^")},
		"behind a picture":           {root + "targets: {v1: {a: 😀, b: 1}}\n", excerpt("  targets: {v1: {a: 😀, b: 1}}", "                           ^")},
		"behind a mark on a letter":  {root + "targets: {v1: {a: e\u0301, b: 1}}\n", excerpt("  targets: {v1: {a: e\u0301, b: 1}}", "                          ^")},
		"what turns the line round":  {root + "targets: {v1: {a: \u202ex, b: 1}}\n", excerpt("  targets: {v1: {a:  x, b: 1}}", "                           ^")},
		"the beginning of a long line": {
			root + "degrade: " + long + "\n", excerpt("  degrade: "+long[:40], "           ^"),
		},
		"the middle of a long line": {
			root + "x-a: {b: " + long + ", b: " + long + "}\n",
			excerpt("… "+long[:58]+", b: "+long[:37], "  "+strings.Repeat(" ", 60)+"^"),
		},
		"the end of a long line": {
			root + "x-a: {b: " + long + ", b: a}\n", excerpt("… "+long[:58]+", b: a}", "  "+strings.Repeat(" ", 60)+"^"),
		},
		"a long line of Chinese": {
			root + "targets: {v1: {a: " + strings.Repeat("盐", 100) + ", b: 1}}\n",
			excerpt("… "+strings.Repeat("盐", 55)+", b: 1}}", "  "+strings.Repeat("  ", 55)+strings.Repeat(" ", 5)+"^"),
		},
	} {
		_, problems := ParseRules("f", "order", []byte(c.content))
		require.NotEmpty(t, problems, name)
		assert.Equal(t, c.want, problems[0].Excerpt([]byte(c.content)), "%s: %s", name, problems[0])
	}
}

func TestADocumentInUTF16IsReadAsOneInUTF8(t *testing.T) {
	const text = "gray: v1\ndefault: v1\ntargets: {v1: {a: 盐😀, b: 1}, v2: {c: ! d}}\n"
	var big, little strings.Builder
	big.WriteString("\xfe\xff")
	little.WriteString("\xff\xfe")
	for _, unit := range utf16.Encode([]rune(text)) {
		big.Write([]byte{byte(unit >> 8), byte(unit)})
		little.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	want := lintRules(text)
	require.Equal(t, []string{"3:26 needs-quotes", "3:38 anchor"}, places(want))
	for _, content := range []string{big.String(), little.String()} {
		got := lintRules(content)
		assert.Equal(t, want, got)
		assert.Equal(t, want[0].Excerpt([]byte(text)), got[0].Excerpt([]byte(content)))
	}
	assert.Equal(t, []string{"1:1 syntax"}, lint("\xff\xfe%\x00Y\x00\n\x00-\x00-\x00-\x00"), "a directive")
	for _, broken := range []string{"\xff\xfea", "\xff\xfe\x00\xd8", "\xff\xfe", "\xfe\xff\xdc\x00"} {
		assert.Equal(t, []string{"1:1 syntax"}, lint(broken), "%q", broken)
	}
}

func TestThereIsNoExcerptOfALineThatIsNotThere(t *testing.T) {
	for _, p := range []Problem{{Line: 3, Col: 1}, {Line: 0, Col: 1}, {Line: -1, Col: 1}, {Line: 1, Col: 0}, {Line: 1 << 40, Col: 1}} {
		assert.Empty(t, p.Excerpt([]byte("a\nb\n")), "%+v", p)
		assert.Empty(t, p.Excerpt(nil))
	}
	assert.Equal(t, excerpt("  b", "   ^"), Problem{Line: 2, Col: 99}.Excerpt([]byte("a\nb\n")), "a column that is not there is the end")
	assert.Equal(t, excerpt("  ", "  ^"), Problem{Line: 1, Col: 1}.Excerpt([]byte("\na")))
}

func TestADirectiveIsRefusedAfterEveryKindOfLine(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n", "\u0085", "\u2028", "\u2029"} {
		content := "# c" + end + end + "%TAG ! x" + end + "---" + end + "gray: v1" + end + "default: v1" + end
		assert.Equal(t, []string{"3:1 syntax"}, lint(content), "%q", end)
	}
}

func TestHintsNameWhatIsMeant(t *testing.T) {
	const root = "gray: v1\ndefault: v1\n"
	const declared = root + "targets: {v1: {a: b}, canary: {a: c}}\n"
	for _, c := range []struct{ content, meant string }{
		{root + "isolat: []\n", "isolate"},
		{root + "prefermin: 1%\n", "prefer_min"},
		{root + "guard: {erors: 1%, failures: 1}\n", "errors"},
		{root + "limits: {v1: {retires: 1}}\n", "retries"},
		{root + "Default: v1\n", "default"},
		{root + "lane: {}\n", ""},
		{declared + "rules: [{name: a, to: canray}]\n", "canary"},
		{declared + "rules: [{name: a, to: {canar: 1%}}]\n", "canary"},
		{declared + "limits: {Canary: {}}\n", "canary"},
		{declared + "rules: [{name: a, to: blue}]\n", ""},
		{root + "degrade: fial\n", "fail"},
		{root + "degrade: ANY\n", "any"},
		{root + "balance: leats\n", "least"},
		{root + "balance: wieghted\n", "weighted"}, //nolint:misspell // that is the slip
		{rule("name: a", "to: v2", "missing: fial"), "fail"},
		{rule("name: a", "to: v2", "missing: defalt"), "default"},
		{rule("name: a", "to: v2", "missing: error"), ""},
		{rule("name: a", "by: heder.x-version"), "header.x-version"},
		{rule("name: a", "by: headers.x-version"), "header.x-version"},
		{rule("name: a", "by: Header.X-Version"), "header.X-Version"},
		{rule("name: a", "to: {v2: 1%}", "sticky: usr"), "user"},
		{rule("name: a", "to: {v2: 1%}", "sticky: User"), "user"},
		{rule("name: a", "by: user", "when: {cokie.a: b}"), "cookie.a"},
		{rule("name: a", "by: user", "when: {qurey.a: b}"), "query.a"},
		{rule("name: a", "by: user", "when: {tags.env: b}"), "tag.env"},
		{rule("name: a", "by: user", "when: {header: b}"), ""},
		{rule("name: a", "by: user", "when: {header.a b: b}"), ""},
		{rule("name: a", "by: user", "when: {usr.a: b}"), ""},
		{rule("name: a", "by: user", "when: {path: {prefx: b}}"), "prefix"},
		{rule("name: a", "by: user", "when: {path: {Prefix: b}}"), "prefix"},
		{rule("name: a", "by: user", "when: {path: {exist: true}}"), "exists"},
		{rule("name: a", "by: user", "when: {path: {regexp: b}}"), "regex"},
		{rule("name: a", "by: user", "when: {path: {equals: b}}"), ""},
	} {
		_, problems := ParseRules("f", "order", []byte(c.content))
		require.Len(t, problems, 1, c.content)
		hint := fmt.Sprintf("did you mean %q?", c.meant)
		if c.meant == "" {
			hint = "did you mean"
		}
		assert.Equal(t, c.meant != "", strings.Contains(problems[0].Message, hint), "%s", problems[0])
	}
	_, problems := ParseGlobal("f", []byte("gray: v1\nlanes: {a: {missing: baselin}}\n"))
	require.ErrorContains(t, problems.Err(), `did you mean "baseline"?`)
	_, problems = ParseSwitches("f", []byte("gray: v1\nswitches: {a: {value: 1, rules: [{name: b, shar: 1%, value: 2}]}}\n"))
	assert.ErrorContains(t, problems.Err(), `did you mean "share"?`)
}
