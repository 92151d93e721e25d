package nacosconn

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// open opens a session that is closed with the test.
func open(t *testing.T, cfg Config, module Module, h Handler) *Session {
	t.Helper()
	s, err := Open(cfg, module, h)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func connected(t *testing.T, s *Session) *Conn {
	t.Helper()
	c, err := s.Conn(within(t, patience))
	require.NoError(t, err)
	return c
}

func awaitLost(t *testing.T, c *Conn, d time.Duration) {
	t.Helper()
	select {
	case <-c.Lost():
	case <-time.After(d):
		require.FailNow(t, "the connection is not lost")
	}
}

// errorsOf collects what OnError is told.
type errorsOf struct {
	mu   sync.Mutex
	text []string
}

func (e *errorsOf) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = append(e.text, err.Error())
}

// awaitReason waits until the session has failed for a reason, and checks that
// Ready gives the same.
func (e *errorsOf) awaitReason(t *testing.T, s *Session, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(e.all(), "\n"), want) },
		patience, 10*time.Millisecond, "never reported: %s", want)
	require.ErrorContains(t, s.Ready(within(t, time.Millisecond)), want)
}

func (e *errorsOf) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.text...)
}

// silentServer accepts connections at the gRPC port of the returned address and
// never says a word.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var accepted sync.WaitGroup
	accepted.Go(func() {
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		accepted.Wait()
	})
	return httpAddr(l.Addr().(*net.TCPAddr).Port)
}

// httpAddr is the server whose gRPC port is the given one.
func httpAddr(grpcPort int) string {
	return server{host: "127.0.0.1", port: grpcPort - grpcOffset}.http()
}

// refusing is an address that refuses connections. Its port is that of a connection, so that
// no other process can listen there meanwhile.
func refusing(t *testing.T) *net.TCPAddr {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", conn.LocalAddr().String())
	require.ErrorContains(t, err, "refused")
	return conn.LocalAddr().(*net.TCPAddr)
}

// deadAddr is a server whose gRPC port refuses connections.
func deadAddr(t *testing.T) string {
	t.Helper()
	return httpAddr(refusing(t).Port)
}
