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
func launch(ctx context.Context, n *Node) (*process, error) {
	files := map[string]string{
		"application.properties": n.installed.properties(n.ports, n.auth),
		"Launcher.java":          string(n.installed.launcher),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(n.home, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("nacos: %w", err)
		}
	}
	out, err := os.OpenFile(filepath.Join(n.home, "out.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	defer out.Close()                                                                     // Java has its own handle
	cmd := exec.CommandContext(context.WithoutCancel(ctx), n.installed.java, n.args()...) //nolint:gosec // the user's Java
	cmd.Dir = n.home
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

// args are those of Java.
func (n *Node) args() []string {
	args := []string{
		"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dnacos.home=" + n.home, "-Dnacos.server.ip=127.0.0.1",
	}
	if n.members == nil {
		args = append(args, "-Dnacos.standalone=true")
	} else {
		addrs := make([]string, len(n.members))
		for i, p := range n.members {
			addrs[i] = p.addr(p.http)
		}
		args = append(args, "-DembeddedStorage=true", "-Dnacos.member.list="+strings.Join(addrs, ","))
	}
	return append(args,
		"-cp", strings.Join(n.installed.classPath, string(filepath.ListSeparator)),
		filepath.Join(n.home, "Launcher.java"),
		"--spring.config.additional-location=file:"+n.home+"/")
}

// kill ends the whole process group and waits for its leader.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		if !p.ended() { // else the group's number may belong to others by now
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	<-p.done
}

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
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
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	proc := n.process()
	checks := n.installed.ready(n)
	if n.members != nil {
		checks = append(checks, n.seesCluster)
	}
	if err := proc.await(ctx, checks); err != nil {
		return fmt.Errorf("nacos: node on port %d is not ready: %w; its last lines:\n%s", n.ports.http, err, proc.tail(40))
	}
	return nil
}

// await returns when each check has passed, in order.
func (p *process) await(ctx context.Context, checks []check) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for len(checks) > 0 {
		err := checks[0](ctx)
		if err == nil {
			checks = checks[1:]
			continue
		}
		select {
		case <-p.done:
			return errExited
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
	return nil
}

func getOK(ctx context.Context, url string) error {
	_, err := get(ctx, url)
	return err
}

// get returns the body of an answer that is 200.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return ask(req)
}

// ask returns the body of an answer that is 200.
func ask(req *http.Request) ([]byte, error) {
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func dial(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
