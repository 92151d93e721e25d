package demo

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// projects are the ways to use the compose files.
func projects() map[string][]string {
	return map[string][]string{"one node": {File}, "three nodes": {File, "compose.cluster.yaml"}}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := Root()
	require.NoError(t, err)
	return dir
}

func load(t *testing.T, files ...string) *types.Project {
	t.Helper()
	p, err := Load(t.Context(), root(t), files...)
	require.NoError(t, err)
	return p
}

func TestComposeFilesHoldTogether(t *testing.T) {
	for name, files := range projects() {
		t.Run(name, func(t *testing.T) {
			p := load(t, files...)
			for what, check := range map[string]func(*types.Project) []string{
				"published ports": portClashes, "gRPC = HTTP + 1000": grpcPorts, "variables of Nacos": nacosVariables,
				"pinned images": images, "build arguments": buildArgs, "variables of the demo": variables,
				"mounts": mounts,
			} {
				assert.Empty(t, check(p), what)
			}
			t.Logf("FIGURE %s: %d services: %s", name, len(p.Services), strings.Join(p.ServiceNames(), " "))
		})
	}
	assert.Len(t, load(t, projects()["three nodes"]...).Services, len(load(t, File).Services)+2, "services with three nodes")
}

// TestChecksFindWhatIsWrong breaks the project in one place for each check.
func TestChecksFindWhatIsWrong(t *testing.T) {
	set := func(service, key, value string) func(*types.Project) {
		return func(p *types.Project) { p.Services[service].Environment[key] = &value }
	}
	tests := map[string]struct {
		change func(*types.Project)
		check  func(*types.Project) []string
		want   []string
	}{
		"a port twice": {
			func(p *types.Project) { p.Services["gateway"].Ports[0].Published = "8080" },
			portClashes,
			[]string{"gateway and nacos both publish 8080"},
		},
		"a port for everybody": {
			func(p *types.Project) { p.Services["gateway"].Ports[0].HostIP = "" },
			portClashes,
			[]string{"gateway publishes 8000 beyond loopback"},
		},
		"gRPC somewhere else": {
			func(p *types.Project) { p.Services["nacos2"].Ports[1].Published = "9868" },
			grpcPorts,
			[]string{"nacos2: HTTP is at 8858, gRPC at 9868"},
		},
		"a short token": {
			set("nacos3", "NACOS_AUTH_TOKEN", "c2hvcnQ="),
			nacosVariables,
			[]string{"nacos3: NACOS_AUTH_TOKEN is not the Base64 of 32 bytes or more"},
		},
		"no identity": {
			set("nacos", "NACOS_AUTH_IDENTITY_KEY", ""),
			nacosVariables,
			[]string{"nacos: NACOS_AUTH_IDENTITY_KEY is missing"},
		},
		"a node that nobody knows": {
			set("order-v1", "NACOS_ADDR", "nacos:8848"),
			nacosVariables,
			[]string{`order-v1: NACOS_ADDR="nacos:8848": want [nacos:8848 nacos2:8848 nacos3:8848]`},
		},
		"the latest image": {
			func(p *types.Project) {
				s := p.Services["nacos"]
				s.Image = "nacos/nacos-server:latest"
				p.Services["nacos"] = s
			},
			images,
			[]string{"nacos: image nacos/nacos-server:latest is not pinned"},
		},
		"an unknown argument": {
			func(p *types.Project) { p.Services["load"].Build.Args["PROGRAM"] = nil },
			buildArgs,
			[]string{"load: the Dockerfile has no ARG PROGRAM"},
		},
		"a misspelt variable": {
			set("user-v1", "SERVICE_VERSON", "v1"),
			variables,
			[]string{"user-v1: nobody reads SERVICE_VERSON"},
		},
		"a folder that is not there": {
			func(p *types.Project) { p.Services["prometheus"].Volumes[0].Source += "x" },
			mounts,
			[]string{"prometheus: nothing is in " + root(t) + "/examples/demo/prometheusx"},
		},
		"a folder to write to": {
			func(p *types.Project) { p.Services["prometheus"].Volumes[0].ReadOnly = false },
			mounts,
			[]string{"prometheus may write to " + root(t) + "/examples/demo/prometheus"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := load(t, projects()["three nodes"]...)
			tt.change(p)
			assert.Equal(t, tt.want, tt.check(p))
		})
	}
}

func TestMistakeInTheSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(read(root(t), File), "hostname:", "hostnam:", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env.example"), nil, 0o600))
	_, err := Load(t.Context(), dir, File)
	require.ErrorContains(t, err, "hostnam")
}

// TestEnvExampleSaysTheDefaults: it is complete, and copying it changes nothing.
func TestEnvExampleSaysTheDefaults(t *testing.T) {
	defaults := map[string]string{}
	for _, files := range projects() {
		for _, f := range files {
			for _, m := range regexp.MustCompile(`\$\{(\w+)(?::-(.*?))?\}`).FindAllStringSubmatch(read(root(t), f), -1) {
				defaults[m[1]] = m[2]
			}
		}
	}
	example := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(read(root(t), ".env.example"), -1) {
		example[m[1]] = m[2]
	}
	require.NotEmpty(t, defaults)
	assert.Equal(t, defaults, example, "variables: %v", slices.Sorted(maps.Keys(defaults)))
}
