package deptest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wallClock are the files that may turn a time into a number, which loses the reading of
// the monotonic clock: they write times for others, or for a later process.
func wallClock() []string {
	return []string{"internal/disk/entry.go", "internal/judge/recorder.go", "telemetry/promx/gauges.go"}
}

// TestNoTimerGoesByTheWallClock: a clock that is set, or leaps, changes nothing, as long as
// all that is compared are times that have the reading of the monotonic clock.
func TestNoTimerGoesByTheWallClock(t *testing.T) { // F43
	root := filepath.Join("..", "..")
	files := 0
	var used []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." ||
			slices.Contains([]string{"integration", "bench", "examples", "cmd", "nacostest", "bin", "testdata"}, rel)) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Unix", "UnixNano", "UnixMicro", "UnixMilli"}, s.Sel.Name) {
				return true
			}
			if !slices.Contains(used, rel) {
				used = append(used, rel)
			}
			return true
		})
		return nil
	}))
	assert.Greater(t, files, 100)
	assert.Equal(t, wallClock(), used)
}
