package e2e

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"         //nolint:depguard // the SDK itself is what is compared with
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant" //nolint:depguard // as above
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/judge"
)

// sdkListener is a process that listens to the service's document by nothing but
// the SDK: the baseline for how soon a document can be known.
type sdkListener struct {
	mu   sync.Mutex // guards seen
	seen []sighting
	news chan struct{} // of capacity 1: seen has grown
}

// sighting is when a document was known, in Unix nanoseconds.
type sighting struct {
	md5 string
	at  int64
}

// listenBySDK starts the process and returns when it has seen the document that
// is there.
func (s *stage) listenBySDK(first judge.Publication) *sdkListener {
	s.t.Helper()
	cmd := another(s.t, "sdk", task{Nacos: s.nacos.addr, Service: s.service, Dir: s.t.TempDir()})
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	in, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	l := &sdkListener{news: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			l.line(lines.Bytes())
		}
	}()
	s.t.Cleanup(func() {
		_ = in.Close() // which ends it
		<-read
		_ = cmd.Wait() // the end of the test's context may have been quicker
	})
	_, ok := l.await(first, patience)
	require.True(s.t, ok, "the SDK has not seen the document")
	return l
}

func (l *sdkListener) line(text []byte) {
	sum, at, ok := bytes.Cut(text, []byte(" "))
	when, err := strconv.ParseInt(string(at), 10, 64)
	if !ok || err != nil {
		return // the SDK says something
	}
	l.mu.Lock()
	l.seen = append(l.seen, sighting{string(sum), when})
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// await returns when the document was seen, false if that takes too long.
func (l *sdkListener) await(p judge.Publication, within time.Duration) (int64, bool) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		seen := slices.Clone(l.seen)
		l.mu.Unlock()
		for _, s := range seen {
			if s.md5 == p.Revision() && s.at >= p.Sent {
				return s.at, true
			}
		}
		select {
		case <-l.news:
		case <-deadline.C:
			return 0, false
		}
	}
}

// playSDK prints when it learns of each document, until its input ends.
func playSDK(t task) error {
	host, text, err := net.SplitHostPort(t.Nacos)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return err
	}
	client, err := clients.NewConfigClient(vo.NacosClientParam{
		ClientConfig: constant.NewClientConfig(constant.WithLogDir(t.Dir), constant.WithCacheDir(t.Dir),
			constant.WithNotLoadCacheAtStart(true), constant.WithLogLevel("error")),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig(host, port)},
	})
	if err != nil {
		return err
	}
	err = client.ListenConfig(vo.ConfigParam{
		DataId: config.ServiceDocID(t.Service), Group: config.DefaultGroup,
		OnChange: func(_, _, _, data string) {
			at := time.Now().UnixNano()
			sum := md5.Sum([]byte(data))
			fmt.Fprintln(os.Stdout, hex.EncodeToString(sum[:]), at)
		},
	})
	if err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); { //nolint:revive // until the input ends
	}
	return nil // without CloseClient, which the SDK does not always survive
}
