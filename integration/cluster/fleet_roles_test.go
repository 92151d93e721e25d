package cluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"         //nolint:depguard // the SDK itself is what is compared with
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant" //nolint:depguard // as above
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/resolver"
)

// envMember makes the test binary a member of a fleet; it holds one as JSON.
const envMember = "CLUSTER_MEMBER"

// The kinds of members.
const (
	consumerOfOurs = "consumer" // a consumer as users write one
	listenerOfSDK  = "listener" // a process that does nothing but listen, by the SDK
)

// member is a process that prints a line whenever another version of the service's
// document is in force: its md5, and when that was in Unix ns.
type member struct {
	Kind    string
	Servers []string
	Service string
	Dir     string // for what the SDK writes
}

// playMember makes this process the member that its environment asks for. It ends
// with its input.
func playMember() (bool, error) {
	text := os.Getenv(envMember)
	if text == "" {
		return false, nil
	}
	var m member
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return true, fmt.Errorf("cluster: %s: %w", envMember, err)
	}
	play := m.consume
	if m.Kind == listenerOfSDK {
		play = m.listen
	}
	if err := play(); err != nil {
		return true, err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return true, err
}

func say(revision string) {
	fmt.Fprintln(os.Stdout, revision, time.Now().UnixNano())
}

func (m member) consume() error {
	last := ""
	gl, err := graylane.Open(context.Background(), graylane.WithServers(m.Servers...), graylane.WithIP("127.0.0.1"),
		graylane.WithService("web"), graylane.WithVersion("v1"), graylane.WithCacheDir("off"),
		graylane.WithHooks(resolver.Hooks{OnUpdate: func(_ *resolver.View, s *resolver.State) {
			if s.RulesDoc.MD5 != last { // one view: one call at a time
				last = s.RulesDoc.MD5
				say(last)
			}
		}}))
	if err != nil {
		return err
	}
	_, err = gl.Resolver().View(gl.Resolver().Service(m.Service), "http")
	return err
}

func (m member) listen() error {
	var servers []constant.ServerConfig
	for _, addr := range m.Servers {
		host, text, err := net.SplitHostPort(addr)
		port, perr := strconv.ParseUint(text, 10, 16)
		if err := errors.Join(err, perr); err != nil {
			return err
		}
		servers = append(servers, *constant.NewServerConfig(host, port))
	}
	client, err := clients.NewConfigClient(vo.NacosClientParam{
		ClientConfig: constant.NewClientConfig(constant.WithLogDir(m.Dir), constant.WithCacheDir(m.Dir),
			constant.WithNotLoadCacheAtStart(true), constant.WithLogLevel("error")),
		ServerConfigs: servers,
	})
	if err != nil {
		return err
	}
	return client.ListenConfig(vo.ConfigParam{
		DataId: config.ServiceDocID(m.Service), Group: config.DefaultGroup,
		OnChange: func(_, _, _, data string) {
			sum := md5.Sum([]byte(data))
			say(hex.EncodeToString(sum[:]))
		},
	})
}

// process is a running member.
type process struct {
	cmd  *exec.Cmd
	mu   sync.Mutex           // guards seen
	seen map[string]time.Time // by md5: when it was first in force
	read chan struct{}        // closed when it says nothing any more
}

// startMember starts a member, which ends with the test.
func startMember(t *testing.T, m member) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(m)
	require.NoError(t, err)
	p := &process{cmd: exec.CommandContext(t.Context(), self), seen: map[string]time.Time{}, read: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), envMember+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	in, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.line(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = p.cmd.Process.Kill() // it has nothing to tidy up, and the SDK does not always survive that
		<-p.read
		_ = p.cmd.Wait()
	})
	return p
}

func (p *process) line(text []byte) {
	sum, at, ok := bytes.Cut(text, []byte(" "))
	when, err := strconv.ParseInt(string(at), 10, 64)
	if !ok || err != nil {
		return // the SDK says something
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.seen[string(sum)]; !known {
		p.seen[string(sum)] = time.Unix(0, when)
	}
}

// at returns when a version was in force; false: it has not been.
func (p *process) at(revision string) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.seen[revision]
	return at, ok
}
