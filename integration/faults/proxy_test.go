package faults

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxied returns a proxy to a server that answers every byte with itself.
func proxied(t *testing.T) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	p, err := NewProxy(t.Context(), "127.0.0.1:0", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func connect(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// echo sends a byte and waits for its return.
func echo(conn net.Conn, within time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := conn.SetDeadline(began.Add(within)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte{'x'}); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return time.Since(began), err
}

func TestProxyPassesAndIsLate(t *testing.T) {
	p := proxied(t)
	conn := connect(t, p)
	_, err := echo(conn, patience)
	require.NoError(t, err)
	p.Set(Delay, 50*time.Millisecond)
	took, err := echo(conn, patience)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, took, 100*time.Millisecond, "each way")
}

func TestProxySwallowsUntilItPasses(t *testing.T) {
	p := proxied(t)
	old := connect(t, p)
	_, err := echo(old, patience)
	require.NoError(t, err)
	p.Set(Blackhole, 0)
	for _, conn := range []net.Conn{old, connect(t, p)} {
		_, err = echo(conn, 50*time.Millisecond)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	p.Set(Pass, 0)
	require.NoError(t, old.SetDeadline(time.Now().Add(patience)))
	_, err = io.ReadFull(old, make([]byte, 1))
	require.NoError(t, err, "what was held arrives")
}

func TestProxyResets(t *testing.T) {
	p := proxied(t)
	old := connect(t, p)
	_, err := echo(old, patience)
	require.NoError(t, err)
	p.Set(Reset, 0)
	_, err = old.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer conn.Close()
		_, err = echo(conn, patience)
	}
	require.Error(t, err, "a new one")
	p.Set(Pass, 0)
	_, err = echo(connect(t, p), patience)
	require.NoError(t, err)
}

func TestProxyHalfCloses(t *testing.T) {
	p := proxied(t)
	conn := connect(t, p)
	_, err := echo(conn, patience)
	require.NoError(t, err)
	p.Set(HalfClose, 0)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = conn.Write([]byte{'x'})
	require.NoError(t, err, "the other direction is open")
}

func TestProxyWhoseTargetIsGoneResets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	p, err := NewProxy(t.Context(), "127.0.0.1:0", ln.Addr().String())
	require.NoError(t, err)
	defer p.Close()
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil { // else the reset was quicker
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = conn.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
