package deptest

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// budget is the most that each minimal consumer under testdata may link. Sizes
// hold for one platform and minor version of Go; elsewhere only modules count.
type budget struct {
	Platform  string `json:"platform"`
	Consumers map[string]struct {
		Modules   int     `json:"modules"`   // other than ours and Go's own
		Megabytes float64 `json:"megabytes"` // 10⁶ bytes, stripped
	} `json:"consumers"`
}

func TestBudgetOfMinimalConsumers(t *testing.T) {
	t.Parallel()
	if os.Getenv("BUDGET") == "" {
		t.Skip("links two programs, which takes a while: make budget does it")
	}
	raw, err := os.ReadFile("budget.json")
	require.NoError(t, err)
	var b budget
	require.NoError(t, json.Unmarshal(raw, &b))
	require.NotEmpty(t, b.Consumers)

	for name, limit := range b.Consumers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modules, megabytes := link(t, name)
			t.Logf("FIGURE minimal consumer %s: %d modules (budget %d), %.1f MB stripped (budget %.1f): %s", name,
				len(modules), limit.Modules, megabytes, limit.Megabytes, strings.Join(modules, " "))
			assert.LessOrEqual(t, len(modules), limit.Modules, "linked modules: %s", strings.Join(modules, " "))
			if strings.HasPrefix(runtime.GOOS+"/"+runtime.GOARCH+" "+runtime.Version()+".", b.Platform+".") {
				assert.LessOrEqual(t, megabytes, limit.Megabytes, "size in MB")
			}
		})
	}
}

// link builds a consumer stripped and returns the modules in it and its size.
func link(t *testing.T, name string) (modules []string, megabytes float64) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./testdata/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "go build: %s", out)

	info, err := buildinfo.ReadFile(bin)
	require.NoError(t, err)
	for _, dep := range info.Deps {
		modules = append(modules, dep.Path)
	}
	stat, err := os.Stat(bin)
	require.NoError(t, err)
	return modules, float64(stat.Size()) / 1e6
}
