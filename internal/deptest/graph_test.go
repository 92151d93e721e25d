package deptest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/graylane/graylane"

// pkg is what go list says about one package.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	Imports    []string
	ImportMap  map[string]string
}

// graph holds the packages of the module and all that they reach, by path.
type graph map[string]pkg

// load asks the go command, for this platform and without test files.
func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-json=ImportPath,Name,Dir,GoFiles,Imports,ImportMap", module+"/...")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		require.NoError(t, err, "go list: %s", exit.Stderr)
	}
	require.NoError(t, err)

	g := graph{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return g
		}
		require.NoError(t, err)
		g[p.ImportPath] = p
	}
}

// own returns the module's packages, sorted by path.
func (g graph) own() []pkg {
	var own []pkg
	for path, p := range g {
		if matches(module+"/...", path) {
			own = append(own, p)
		}
	}
	slices.SortFunc(own, func(a, b pkg) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	return own
}

// way returns a shortest chain of imports from one package to one that bad
// accepts, nil if there is none. The package itself is not asked.
func (g graph) way(from string, bad func(path string) bool) []string {
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		chain := queue[0]
		p := g[chain[len(chain)-1]]
		for _, next := range p.Imports {
			if vendored, ok := p.ImportMap[next]; ok {
				next = vendored
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			if bad(next) {
				return longer
			}
			queue = append(queue, longer)
		}
	}
	return nil
}

// matches reports whether path is the pattern, or lies below it if the pattern
// ends in "/...".
func matches(pattern, path string) bool {
	root, tree := strings.CutSuffix(pattern, "/...")
	return path == root || tree && strings.HasPrefix(path, root+"/")
}

func anyMatches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}
