package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// File is the compose file of the demo.
const File = "docker-compose.yml"

// nacosImage is the image of the servers that are not started here.
const nacosImage = "nacos/nacos-server"

// Root returns the repository that holds the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, File)); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("demo: the working directory is not in the repository")
		}
	}
}

// Load reads compose files of the repository as docker compose does, the later
// ones over the earlier, with the variables of .env.example alone.
func Load(ctx context.Context, root string, files ...string) (*types.Project, error) {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join(root, f)
	}
	o, err := cli.NewProjectOptions(paths, cli.WithWorkingDirectory(root),
		cli.WithEnvFiles(filepath.Join(root, ".env.example")), cli.WithDotEnv)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	p, err := o.LoadProject(ctx)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return p, nil
}

// isNacos reports whether a service is a node of Nacos.
func isNacos(s types.ServiceConfig) bool { return strings.HasPrefix(s.Image, nacosImage+":") }

// Published returns the host's address, such as "127.0.0.1:8080", of a port that
// a service publishes, "" if it does not.
func Published(s types.ServiceConfig, port string) string {
	for _, p := range s.Ports {
		if strconv.Itoa(int(p.Target)) == port && p.Published != "" {
			return net.JoinHostPort(p.HostIP, p.Published)
		}
	}
	return ""
}
