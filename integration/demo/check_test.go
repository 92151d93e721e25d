package demo

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// The checks below return what is wrong with a project, in the words of whoever
// has to mend it.

// portClashes finds ports of the host that two services publish.
func portClashes(p *types.Project) []string {
	var problems []string
	owner := map[string]string{}
	for _, name := range p.ServiceNames() {
		for _, port := range p.Services[name].Ports {
			if other, taken := owner[port.Published]; taken {
				problems = append(problems, fmt.Sprintf("%s and %s both publish %s", other, name, port.Published))
			}
			owner[port.Published] = name
			if port.HostIP != "127.0.0.1" {
				problems = append(problems, fmt.Sprintf("%s publishes %s beyond loopback", name, port.Published))
			}
		}
	}
	return problems
}

// grpcPorts finds Nacos nodes that no client on the host could use: it takes the
// gRPC port for the HTTP port + 1000.
func grpcPorts(p *types.Project) []string {
	var problems []string
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		if !isNacos(s) {
			continue
		}
		published := map[uint32]int{}
		for _, port := range s.Ports {
			published[port.Target], _ = strconv.Atoi(port.Published)
		}
		if published[8848] == 0 || published[9848] != published[8848]+1000 {
			problems = append(problems, fmt.Sprintf("%s: HTTP is at %d, gRPC at %d", name, published[8848], published[9848]))
		}
	}
	return problems
}

// nacosVariables finds what the image of Nacos 3 does not start, or not work,
// without.
func nacosVariables(p *types.Project) []string {
	var problems, nodes []string
	problem := func(name, format string, args ...any) {
		problems = append(problems, name+": "+fmt.Sprintf(format, args...))
	}
	for _, name := range p.ServiceNames() {
		if isNacos(p.Services[name]) {
			nodes = append(nodes, name+":8848")
		}
	}
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		if !isNacos(s) {
			continue
		}
		get := func(key string) string {
			if v := s.Environment[key]; v != nil {
				return *v
			}
			return ""
		}
		secret, err := base64.StdEncoding.DecodeString(get("NACOS_AUTH_TOKEN"))
		if err != nil || len(secret) < 32 {
			problem(name, "NACOS_AUTH_TOKEN is not the Base64 of 32 bytes or more")
		}
		for _, key := range []string{"NACOS_AUTH_IDENTITY_KEY", "NACOS_AUTH_IDENTITY_VALUE"} {
			if get(key) == "" {
				problem(name, "%s is missing", key)
			}
		}
		for _, key := range []string{"NACOS_AUTH_ADMIN_ENABLE", "NACOS_AUTH_CONSOLE_ENABLE"} {
			if get(key) != "false" { // on by default in 3.x
				problem(name, "%s=%q: the console would ask for a login", key, get(key))
			}
		}
		if !slices.Contains(s.HealthCheck.Test, "http://127.0.0.1:8848/nacos/v3/admin/core/state/readiness") {
			problem(name, "the health check is not that of Nacos 3")
		}
		switch {
		case len(nodes) == 1 && get("MODE") != "standalone":
			problem(name, "MODE=%q with one node", get("MODE"))
		case len(nodes) > 1 && (get("MODE") != "cluster" || get("EMBEDDED_STORAGE") != "embedded" || get("PREFER_HOST_MODE") != "hostname"):
			problem(name, "not set up as a node of a cluster: %v", s.Environment)
		case len(nodes) > 1 && (get("NACOS_SERVERS") != strings.Join(nodes, " ") || s.Hostname != name):
			problem(name, "NACOS_SERVERS=%q, hostname %q: want %v", get("NACOS_SERVERS"), s.Hostname, nodes)
		}
	}
	for _, name := range p.ServiceNames() {
		if addr := p.Services[name].Environment["NACOS_ADDR"]; addr != nil && *addr != strings.Join(nodes, ",") {
			problem(name, "NACOS_ADDR=%q: want %v", *addr, nodes)
		}
	}
	return problems
}

var (
	pinned = regexp.MustCompile(`^[a-z0-9./-]+:[A-Za-z0-9_.-]+$`)
	from   = regexp.MustCompile(`(?m)^FROM (\S+)`)
	argOf  = regexp.MustCompile(`(?m)^ARG (\w+)(?:=(.*))?$`)
)

// images finds images without a tag, or with one that moves from major version to
// major version.
func images(p *types.Project) []string {
	var problems []string
	check := func(where, image string) {
		if !pinned.MatchString(image) || strings.HasSuffix(image, ":latest") {
			problems = append(problems, where+": image "+image+" is not pinned")
		}
	}
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		check(name, s.Image)
		if s.Build == nil {
			continue
		}
		dockerfile := read(s.Build.Context, s.Build.Dockerfile)
		args := argOf.FindAllStringSubmatch(dockerfile, -1)
		for _, m := range from.FindAllStringSubmatch(dockerfile, -1) {
			image := m[1]
			for _, arg := range args {
				image = strings.ReplaceAll(image, "${"+arg[1]+"}", arg[2])
			}
			check("Dockerfile", image)
		}
	}
	return problems
}

// buildArgs finds arguments that the Dockerfile does not take, and programs that
// do not exist.
func buildArgs(p *types.Project) []string {
	var problems []string
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		if s.Build == nil {
			continue
		}
		var taken []string
		for _, m := range argOf.FindAllStringSubmatch(read(s.Build.Context, s.Build.Dockerfile), -1) {
			taken = append(taken, m[1])
		}
		for arg := range s.Build.Args {
			if !slices.Contains(taken, arg) {
				problems = append(problems, fmt.Sprintf("%s: the Dockerfile has no ARG %s", name, arg))
			}
		}
		cmd := s.Build.Args["CMD"]
		if cmd == nil || !strings.Contains(read(s.Build.Context, *cmd, "main.go"), "\npackage main\n") {
			problems = append(problems, name+": CMD is no program")
		}
	}
	return problems
}

var readsEnv = regexp.MustCompile(`os\.Getenv\("(\w+)"\)|env\w+ += "(\w+)"`)

// variables finds variables of the demo's services that no program reads.
func variables(p *types.Project) []string {
	var known []string
	files, _ := filepath.Glob(filepath.Join(p.WorkingDir, "examples", "demo", "*.go"))
	for _, file := range append(files, filepath.Join(p.WorkingDir, "env.go")) {
		for _, m := range readsEnv.FindAllStringSubmatch(read(file), -1) {
			known = append(known, m[1]+m[2])
		}
	}
	var problems []string
	for _, name := range p.ServiceNames() {
		if p.Services[name].Build == nil { // somebody else's program
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(p.Services[name].Environment)) {
			if !slices.Contains(known, key) {
				problems = append(problems, name+": nobody reads "+key)
			}
		}
	}
	return problems
}

// mounts finds folders that are not there, and mounts that can be written to.
func mounts(p *types.Project) []string {
	var problems []string
	for _, name := range p.ServiceNames() {
		for _, v := range p.Services[name].Volumes {
			if files, _ := filepath.Glob(filepath.Join(v.Source, "*")); len(files) == 0 {
				problems = append(problems, name+": nothing is in "+v.Source)
			}
			if !v.ReadOnly {
				problems = append(problems, name+" may write to "+v.Source)
			}
		}
	}
	return problems
}

// read returns the text of a file, "" if there is none.
func read(path ...string) string {
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return ""
	}
	return string(text)
}
