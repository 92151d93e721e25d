package foreign

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy passes connections on to a Nacos, and can cut them: what a restart is to
// a client, without one.
type proxy struct {
	addr string // of the HTTP port; gRPC is 1000 higher

	mu   sync.Mutex // guards open
	open map[net.Conn]struct{}
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{open: map[net.Conn]struct{}{}}
	httpL, grpcL := listenPair(t)
	p.addr = httpL.Addr().String()
	var running sync.WaitGroup
	running.Go(func() { p.serve(&running, httpL, target) })
	running.Go(func() { p.serve(&running, grpcL, grpcAddr(t, target)) })
	t.Cleanup(func() {
		_ = httpL.Close()
		_ = grpcL.Close()
		p.cut()
		running.Wait()
	})
	return p
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
	clear(p.open)
}

// serve passes connections on until the listener is closed.
func (p *proxy) serve(running *sync.WaitGroup, l net.Listener, target string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.open[in], p.open[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		pass := func(to, from net.Conn) {
			_, _ = io.Copy(to, from) // how it ended is the endpoints' business
			_ = to.Close()
			_ = from.Close()
			p.mu.Lock()
			delete(p.open, from)
			p.mu.Unlock()
		}
		running.Go(func() { pass(in, out) })
		running.Go(func() { pass(out, in) })
	}
}

// listenPair listens at two free ports that lie 1000 apart.
func listenPair(t *testing.T) (low, high net.Listener) {
	t.Helper()
	// Beside those that the servers take, and below those of outgoing connections.
	for port := 31_500; port < 31_700; port++ {
		low, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		high, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1000))
		if err == nil {
			return low, high
		}
		require.NoError(t, low.Close())
	}
	require.FailNow(t, "no free pair of ports")
	return nil, nil
}

// grpcAddr returns where a Nacos serves gRPC.
func grpcAddr(t *testing.T, addr string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return net.JoinHostPort(host, strconv.Itoa(n+1000))
}
