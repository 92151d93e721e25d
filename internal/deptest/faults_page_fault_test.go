package deptest_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFaultsPageNamesTestsThatExist: each row of docs/faults.md has tests, which are in the
// tree, and the level that these need.
func TestFaultsPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults.md"))
	require.NoError(t, err)
	tests, faults := map[string]string{}, readAll(t, "integration/faults", func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
	rows := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[0]) == "#" {
			require.False(t, strings.HasPrefix(line, "| F"), "a row of other than five cells: %s", line)
			continue
		}
		row := strings.TrimSpace(cells[0])
		assert.False(t, rows[row], "%s is there twice", row)
		rows[row] = true
		named := regexp.MustCompile("`([a-z0-9/]+)\\.(\\w+)(?:/(\\w+))?`").FindAllStringSubmatch(cells[3], -1)
		assert.NotEmpty(t, named, "%s has no test", row)
		assert.Len(t, strings.Fields(cells[3]), len(named), "%s: want `package.Test`, spaces between", row)
		levels := map[string]bool{}
		for _, m := range named {
			dir := m[1]
			if dir == "graylane" {
				dir = "."
			}
			if _, ok := tests[dir]; !ok {
				tests[dir] = readAll(t, dir, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
			}
			exists := strings.Contains(tests[dir], "\nfunc "+m[2]+"(")
			assert.True(t, exists, "%s: there is no %s", row, m[0])
			assert.True(t, m[3] == "" || strings.Contains(faults, `newFault("`+m[3]+`",`), "%s: there is no fault of %s", row, m[0])
			level := "go test"
			if strings.HasPrefix(dir, "integration/") {
				level = "real Nacos"
			}
			levels[level] = true
		}
		said := map[string]bool{}
		for level := range strings.SplitSeq(cells[4], ",") {
			said[strings.TrimSpace(level)] = true
		}
		assert.Equal(t, levels, said, "%s", row)
	}
	assert.Greater(t, len(rows), 50)
}

// readAll returns the text of the Go files of a directory, those that are wanted.
func readAll(t *testing.T, dir string, wanted func(name string) bool) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		if !wanted(path.Base(filepath.ToSlash(file))) {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}
