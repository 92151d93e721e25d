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
	faults := readAll(t, "integration/faults", func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
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
		named := namedTests(t, row, cells[3])
		assert.Len(t, strings.Fields(cells[3]), len(named), "%s: want `package.Test`, spaces between", row)
		levels := map[string]bool{}
		for _, m := range named {
			assert.True(t, m[3] == "" || strings.Contains(faults, `newFault("`+m[3]+`",`), "%s: there is no fault of %s", row, m[0])
			level := "go test"
			if strings.HasPrefix(m[1], "integration/") {
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

// TestReadmeNamesTestsThatExist: each guarantee of the README has tests.
func TestReadmeNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	table := regexp.MustCompile(`(?s)\| guarantee \|.*?\n\n`).FindString(string(text))
	rows := strings.Split(strings.TrimSpace(table), "\n")
	require.Greater(t, len(rows), 8)
	for _, row := range rows[2:] {
		cells := strings.Split(row, "|")
		require.Len(t, cells, 4)
		namedTests(t, cells[1], cells[2])
	}
}

// namedTests returns the tests that a cell names, which must exist: the whole, the
// directory, the test, and the part of it.
func namedTests(t *testing.T, row, cell string) [][]string {
	t.Helper()
	named := regexp.MustCompile("`([a-z0-9/]+)\\.(\\w+)(?:/(\\w+))?`").FindAllStringSubmatch(cell, -1)
	assert.NotEmpty(t, named, "%s has no test", row)
	for _, m := range named {
		dir := m[1]
		if dir == "graylane" {
			dir = "."
		}
		tests := readAll(t, dir, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		assert.Contains(t, tests, "\nfunc "+m[2]+"(", "%s: there is no %s", row, m[0])
	}
	return named
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
