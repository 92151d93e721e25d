package nacos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// properties is the node's configuration: server and console in one process,
// no authentication, HTTP on loopback only. Identity and key must be there, and
// protect nothing.
const properties = `nacos.deployment.type=merged
server.address=127.0.0.1
nacos.server.main.port=%d
nacos.server.contextPath=/nacos
nacos.console.port=%d
nacos.core.auth.enabled=false
nacos.core.auth.admin.enabled=false
nacos.core.auth.console.enabled=false
nacos.core.auth.system.type=nacos
nacos.core.auth.server.identity.key=graylane
nacos.core.auth.server.identity.value=graylane
nacos.core.auth.plugin.nacos.token.secret.key=Z3JheWxhbmUtZ3JheWxhbmUtZ3JheWxhbmUtZ3JheWxhbmU=
`

// process is a node's Java.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer // the launcher ends when this does
	log   string    // path of what it prints
	once  sync.Once
	done  chan struct{} // closed when it has ended
}

// launch starts Java in a process group of its own. The end of ctx does not end
// it: kill does.
func launch(ctx context.Context, in installation, p ports, home string) (*process, error) {
	files := map[string]string{
		"application.properties": fmt.Sprintf(properties, p.http, p.console),
		"Launcher.java":          string(launcher),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("nacos: %w", err)
		}
	}
	out, err := os.Create(filepath.Join(home, "out.log")) //nolint:gosec // a path of our own
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	defer func() { _ = out.Close() }()                              // Java has its own handle
	cmd := exec.CommandContext(context.WithoutCancel(ctx), in.java, //nolint:gosec // the user's Java
		"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dnacos.home="+home, "-Dnacos.standalone=true", "-Dnacos.server.ip=127.0.0.1",
		"-cp", strings.Join(in.classPath, string(filepath.ListSeparator)),
		filepath.Join(home, "Launcher.java"),
		"--spring.config.additional-location=file:"+home+"/")
	cmd.Dir = home
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	pr := &process{cmd: cmd, stdin: stdin, log: out.Name(), done: make(chan struct{})}
	go func() {
		defer close(pr.done)
		_ = cmd.Wait() // it was killed, or its last lines say why it ended
	}()
	return pr, nil
}

// kill ends the whole process group and waits for its leader.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		select {
		case <-p.done: // the group's number may belong to others by now
		default:
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	<-p.done
}

// tail returns the last n lines that Java printed.
func (p *process) tail(n int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return lastLines(text, n)
}

func lastLines(text []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// errExited says that Java ended before the node was up.
var errExited = errors.New("the process has ended")

// waitReady returns when everything that the node serves has answered.
func (n *Node) waitReady(ctx context.Context) error {
	checks := []func(context.Context) error{
		func(ctx context.Context) error {
			return getOK(ctx, "http://"+n.Addr()+"/nacos/v3/admin/core/state/readiness")
		},
		func(ctx context.Context) error { return dial(ctx, n.ports.addr(n.ports.grpc())) },
		func(ctx context.Context) error {
			return getOK(ctx, "http://"+n.Console()+"/v3/console/health/readiness")
		},
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for len(checks) > 0 {
		err := checks[0](ctx)
		if err == nil {
			checks = checks[1:]
			continue
		}
		select {
		case <-n.proc.done:
			return errExited
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
	return nil
}

func getOK(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

func dial(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
