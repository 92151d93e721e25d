package deptest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
)

// blocks returns the fenced blocks of one language in the README.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	require.NotEmpty(t, out, language)
	return out
}

// TestReadmeProgramsCompile builds the README's programs inside the module,
// without writing them there.
func TestReadmeProgramsCompile(t *testing.T) {
	for i, program := range blocks(t, "go") {
		t.Run(fmt.Sprint("program ", i+1), func(t *testing.T) {
			root, err := filepath.Abs(filepath.Join("..", ".."))
			require.NoError(t, err)
			source, overlay := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "overlay.json")
			// As a package that is no program it is compiled, but not linked.
			program = strings.Replace(program, "package main", "package readme", 1)
			require.NoError(t, os.WriteFile(source, []byte(program), 0o600))
			replace, err := json.Marshal(map[string]map[string]string{
				"Replace": {filepath.Join(root, "readme", "main.go"): source},
			})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, replace, 0o600))
			cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./readme")
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

func TestReadmeRulesAreAccepted(t *testing.T) {
	for _, doc := range blocks(t, "yaml") {
		rules, problems := config.ParseRules("gray.user.yaml", "user", []byte(doc))
		require.NotNil(t, rules, "%v", problems)
		assert.Empty(t, problems)
	}
}

// TestThePictureShowsWhatTheQuickstartPlays: its steps are those of the program; the
// figures differ from run to run.
func TestThePictureShowsWhatTheQuickstartPlays(t *testing.T) {
	picture, err := os.ReadFile(filepath.Join("..", "..", "docs", "img", "split.svg"))
	require.NoError(t, err)
	story, err := os.ReadFile(filepath.Join("..", "..", "examples", "quickstart", "story.go"))
	require.NoError(t, err)
	steps := regexp.MustCompile(`"[1-9] {2}([^":]*)`).FindAllStringSubmatch(string(story), -1)
	require.Len(t, steps, 6)
	for _, step := range steps {
		assert.Contains(t, string(picture), ">"+strings.TrimSuffix(step[1], " → "), "make picture draws a new one")
	}
}

// TestChineseReadmeIsTheTwin: what needs no translation is the same, in the same
// order: blocks of code, code in the text, headings and tables, links.
func TestChineseReadmeIsTheTwin(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		require.NoError(t, err)
		return string(text)
	}
	find := func(text, pattern string) []string {
		var out []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		return out
	}
	english, chinese := read("README.md"), read("README.zh-CN.md")
	assert.Contains(t, english, "(README.zh-CN.md)")
	assert.Contains(t, chinese, "(README.md)")
	const fence = "(?s)(\n```\\w*\n.*?\n```\n)"
	assert.Equal(t, find(english, fence), find(chinese, fence), "blocks of code")

	blocks := regexp.MustCompile(fence)
	english, chinese = blocks.ReplaceAllString(english, ""), blocks.ReplaceAllString(chinese, "")
	for what, pattern := range map[string]string{
		"headings":       `(?m)^(#+) `,
		"items and rows": `(?m)^([-|])`,
		"links":          `\]\(([^)]*)\)`,
	} {
		en, zh := find(english, pattern), find(chinese, pattern)
		if what == "links" { // each names the other
			en, zh = en[1:], zh[1:]
		}
		assert.NotEmpty(t, en)
		assert.Equal(t, en, zh, what)
	}
	const code = "`([^`\n]+)`"
	set := func(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }
	assert.Equal(t, set(find(english, code)), set(find(chinese, code)), "code in the text")
}
