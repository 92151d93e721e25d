package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// Mode is what a Proxy does to what passes it.
type Mode int

// The modes.
const (
	Pass      Mode = iota
	Delay          // everything arrives later
	Blackhole      // connections stay open, and are accepted; nothing arrives, until the mode changes
	Reset          // connections break, and new ones break at once
	HalfClose      // the server's side of each connection ends; the client's still arrives
)

// Proxy is a TCP proxy that can be made to fail. Its methods may be called
// concurrently.
type Proxy struct {
	target string
	ln     net.Listener
	done   sync.WaitGroup

	mu      sync.Mutex // guards what follows; a leaf
	mode    Mode
	delay   time.Duration
	changed chan struct{} // closed at the next change of the mode
	links   map[*link]bool
	closed  bool
}

// link is one connection through the proxy.
type link struct{ client, server *net.TCPConn }

// NewProxy returns a proxy at addr ("127.0.0.1:0": any port) to target, passing.
func NewProxy(ctx context.Context, addr, target string) (*Proxy, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	p := &Proxy{target: target, ln: ln, changed: make(chan struct{}), links: map[*link]bool{}}
	p.done.Go(p.accept)
	return p, nil
}

// Addr returns where the proxy listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Set changes the mode, for new connections and for those that are there. d is
// Delay's.
func (p *Proxy) Set(m Mode, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.delay = m, d
	close(p.changed)
	p.changed = make(chan struct{})
	for l := range p.links {
		l.hurt(m)
	}
}

// Close breaks all connections, and waits until nothing runs. It is idempotent.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		_ = p.ln.Close()
		close(p.changed)
		p.changed = nil
	}
	for l := range p.links {
		l.hurt(Reset)
	}
	p.mu.Unlock()
	p.done.Wait()
}

func (p *Proxy) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

// serve carries one connection.
func (p *Proxy) serve(client *net.TCPConn) {
	conn, err := (&net.Dialer{Timeout: time.Second}).Dial("tcp", p.target)
	if err != nil {
		(&link{client: client, server: client}).hurt(Reset)
		return
	}
	l := &link{client: client, server: conn.(*net.TCPConn)}
	p.mu.Lock()
	p.links[l] = true
	l.hurt(p.mode)
	if p.closed {
		l.hurt(Reset)
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.carry(l.server, l.client) })
	both.Go(func() { p.carry(l.client, l.server) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	_, _ = l.client.Close(), l.server.Close()
}

// hurt does to a connection what a mode does at once.
func (l *link) hurt(m Mode) {
	switch m {
	case Reset:
		for _, c := range []*net.TCPConn{l.client, l.server} {
			_ = c.SetLinger(0) // the other end sees a reset
			_ = c.Close()
		}
	case HalfClose:
		_ = l.client.CloseWrite()
	default:
	}
}

// carry copies one direction.
func (p *Proxy) carry(to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && p.pass() {
			if _, err := to.Write(buffer[:n]); err != nil {
				_, _ = from.CloseRead(), to.CloseWrite()
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// pass returns when what was read may go on. False: the proxy is closed.
func (p *Proxy) pass() bool {
	for {
		p.mu.Lock()
		mode, delay, changed := p.mode, p.delay, p.changed
		p.mu.Unlock()
		switch {
		case changed == nil:
			return false
		case mode == Blackhole:
			<-changed
		case mode == Delay:
			late := time.NewTimer(delay)
			select {
			case <-late.C:
				return true
			case <-changed:
				late.Stop()
			}
		default:
			return true
		}
	}
}

// Line is proxies before the nodes of a Nacos: HTTP, and gRPC 1000 ports above.
type Line struct {
	// Addrs are what a client is configured with.
	Addrs   []string
	proxies []*Proxy
}

// NewLine returns a line to nodes ("host:port" of their HTTP API), passing.
func NewLine(ctx context.Context, nodes []string) (*Line, error) {
	l := &Line{}
	for _, node := range nodes {
		if err := l.add(ctx, node); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// add makes the two proxies of a node, at random ports below those of outgoing
// connections.
func (l *Line) add(ctx context.Context, node string) error {
	host, text, err := net.SplitHostPort(node)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	const least, most, tries = 12_000, 30_000, 50
	var errs []error
	for range tries {
		at := least + rand.N(most-least)
		api, err := NewProxy(ctx, joinPort("127.0.0.1", at), node)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		grpc, err := NewProxy(ctx, joinPort("127.0.0.1", at+1000), joinPort(host, port+1000))
		if err != nil {
			api.Close()
			errs = append(errs, err)
			continue
		}
		l.proxies = append(l.proxies, api, grpc)
		l.Addrs = append(l.Addrs, api.Addr())
		return nil
	}
	return errors.Join(errs...)
}

// Set changes the mode of all.
func (l *Line) Set(m Mode, d time.Duration) {
	for _, p := range l.proxies {
		p.Set(m, d)
	}
}

// Close closes all.
func (l *Line) Close() {
	for _, p := range l.proxies {
		p.Close()
	}
}
