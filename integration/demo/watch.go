package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// monitor is the service of the compose file that Watch runs.
const monitor = "prometheus"

// ErrNoPrometheus says how to get what Watch runs.
var ErrNoPrometheus = errors.New("demo: no prometheus on PATH; on Debian: apt-get install prometheus")

// Watch starts the Prometheus of the file, by the program on PATH and with the file's
// configuration, on the processes that run here, and returns its address. It ends with
// the demo. Edit may change the files that it reads: tests wait for nobody.
func (d *Demo) Watch(ctx context.Context, edit func(file string) string) (addr string, err error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return "", ErrNoPrometheus
	}
	s := d.project.Services[monitor]
	addr = Published(s, "9090")
	if d.freePorts {
		var free freePorts
		addr, err = free.take(ctx)
		free.release()
		if err != nil {
			return "", err
		}
	}
	local, err := d.mount(s, edit)
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	args := []string{"--web.listen-address=" + addr}
	for _, arg := range s.Command {
		args = append(args, local.Replace(arg))
	}
	p, err := launch(exec.Command(program, args...), monitor, s, d.say) //nolint:gosec,noctx // the operator's own; Close ends it in good order
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	d.processes[monitor] = p
	d.mu.Unlock()
	return addr, p.ready(ctx, "http://"+addr+"/-/ready")
}

// mount makes the folders that a service mounts, their files with the addresses of this
// machine, and returns what puts them into arguments such as "-flag=/etc/x".
func (d *Demo) mount(s types.ServiceConfig, edit func(string) string) (*strings.Replacer, error) {
	var pairs []string
	folder := func(target string) (string, error) {
		dir, err := os.MkdirTemp(d.dir, s.Name+"-")
		pairs = append(pairs, "="+target, "="+dir)
		return dir, err
	}
	for _, target := range s.Tmpfs {
		if _, err := folder(target); err != nil {
			return nil, err
		}
	}
	for _, v := range s.Volumes {
		dir, err := folder(v.Target)
		if err != nil {
			return nil, err
		}
		files, err := os.ReadDir(v.Source)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(v.Source, file.Name()))
			if err != nil {
				return nil, err
			}
			text = []byte(edit(d.hosts.Replace(string(text))))
			if err := os.WriteFile(filepath.Join(dir, file.Name()), text, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return strings.NewReplacer(pairs...), nil
}

// ready waits until a URL of the process answers.
func (p *process) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("demo: %s has ended: %w", p.cmd.Path, errors.Join(p.err, errEnded))
		case <-ctx.Done():
			return fmt.Errorf("demo: %s is not ready: %w", p.cmd.Path, ctx.Err())
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}
