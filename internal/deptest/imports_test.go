package deptest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Names used more than once below. A leading "/" stands for this module.
var (
	network = []string{"net", "net/http/...", "net/rpc/...", "os/exec", "os/signal"}
	grpc    = []string{"google.golang.org/grpc/..."}
	nacos   = []string{"github.com/nacos-group/...", "/internal/nacosconn/...", "/registry/nacos/...", "/config/nacos/..."}
	vendors = []string{"go.uber.org/zap/...", "/telemetry/..."}
	faces   = []string{"/httpx/...", "/grpcx/..."}
	wiring  = []string{"/"}
)

// rule says what some packages must not reach, at any distance, or must not
// import themselves.
type rule struct {
	name     string
	who      []string
	except   []string
	noReach  []string
	noImport []string
}

var rules = []rule{
	{
		name:     "the pure rooms touch neither network, files, grpc nor Nacos",
		who:      []string{"/lane", "/registry", "/config", "/balancer"},
		noReach:  slices.Concat(network, grpc, nacos, vendors, faces, wiring, []string{"/resolver/..."}),
		noImport: []string{"os/...", "io/ioutil", "syscall/...", "log/...", "time/tzdata"},
	},
	{name: "lane and registry know nobody", who: []string{"/lane", "/registry"}, noReach: []string{"/..."}},
	{name: "config does not know who uses it", who: []string{"/config"}, noReach: []string{"/balancer/..."}},
	{
		name:    "a unit test with registry/memory links no Nacos",
		who:     []string{"/registry/memory", "/config/file", "/config/memory", "/resolver", "/httpx/..."},
		noReach: slices.Concat(grpc, nacos, vendors, wiring),
	},
	{name: "the resolver knows no face", who: []string{"/resolver"}, noReach: append([]string{"net/http/..."}, faces...)},
	{name: "httpx does not know grpcx", who: []string{"/httpx/..."}, noReach: []string{"/grpcx/..."}},
	{
		name:     "grpcx knows neither httpx, Nacos nor the root",
		who:      []string{"/grpcx/..."},
		noReach:  slices.Concat(nacos, vendors, wiring, []string{"/httpx/..."}),
		noImport: []string{"net/http"},
	},
	{name: "the root knows no face", who: wiring, noReach: faces},
	{
		name:   "only the Nacos rooms and the root reach the session",
		who:    []string{"/..."},
		except: []string{"/", "/internal/nacosconn/...", "/registry/nacos/...", "/config/nacos/...", "/cmd/...", "/examples/..."},
		noReach: []string{
			"/internal/nacosconn/...",
		},
	},
	{
		name: "nobody links the SDK's clients",
		who:  []string{"/..."},
		noReach: []string{
			"github.com/nacos-group/nacos-sdk-go/v2/clients/...",
			"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc",
			"github.com/nacos-group/nacos-sdk-go/v2/common/security/...",
		},
	},
	{
		name:    "what is made for tests stays out of the library",
		who:     []string{"/..."},
		except:  []string{"/nacostest/...", "/internal/judge/...", "/internal/reference/...", "/internal/nacosconn/suite", "/cmd/...", "/examples/..."},
		noReach: []string{"/nacostest/...", "/internal/judge/...", "/internal/reference/...", "testing", "github.com/stretchr/testify/..."},
	},
}

func expand(patterns []string) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		if out[i] = p; strings.HasPrefix(p, "/") {
			out[i] = strings.TrimSuffix(module+p, "/")
		}
	}
	return out
}

// violations returns one line for each package that breaks a rule, with the way
// that leads to the forbidden package.
func violations(g graph, rules []rule) []string {
	var out []string
	for _, r := range rules {
		who, except, noReach, noImport := expand(r.who), expand(r.except), expand(r.noReach), expand(r.noImport)
		for _, p := range g.own() {
			if !anyMatches(who, p.ImportPath) || anyMatches(except, p.ImportPath) {
				continue
			}
			if way := g.way(p.ImportPath, func(path string) bool { return anyMatches(noReach, path) }); way != nil {
				out = append(out, fmt.Sprintf("%s: %s", r.name, strings.Join(way, " → ")))
			}
			for _, path := range p.Imports {
				if anyMatches(noImport, path) {
					out = append(out, fmt.Sprintf("%s: %s imports %s", r.name, p.ImportPath, path))
				}
			}
		}
	}
	return out
}

func TestImportsGoOnlyWhereTheyMay(t *testing.T) {
	t.Parallel()
	g := load(t)
	require.Greater(t, len(g.own()), 5, "the module's packages")
	assert.Empty(t, violations(g, rules))
}

func TestForbiddenImportIsFound(t *testing.T) {
	t.Parallel()
	const far = "example.com/far"
	g := graph{}
	add := func(path string, imports ...string) { g[path] = pkg{ImportPath: path, Imports: imports} }
	add(module, far)
	add(module+"/lane", "os")
	add(module+"/httpx", module+"/lane", far)
	add(module+"/registry", "net/netip")
	add(far, "google.golang.org/grpc/codes")

	assert.ElementsMatch(t, []string{
		"the pure rooms touch neither network, files, grpc nor Nacos: " + module + "/lane imports os",
		"a unit test with registry/memory links no Nacos: " + module + "/httpx → " + far + " → google.golang.org/grpc/codes",
	}, violations(g, rules))
}

// A package's documentation stands in doc.go; a command's or a test-only helper's
// may stand in its single file.
func TestEveryPackageHasOnePackageDoc(t *testing.T) {
	t.Parallel()
	for _, p := range load(t).own() {
		var documented []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			require.NoError(t, err)
			if f.Doc != nil && !ast.IsGenerated(f) {
				documented = append(documented, name)
			}
		}
		if assert.Lenf(t, documented, 1, "%s: files with package documentation", p.ImportPath) && len(p.GoFiles) > 1 && p.Name != "main" {
			assert.Equal(t, "doc.go", documented[0], p.ImportPath)
		}
	}
}
