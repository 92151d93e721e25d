package nacostest

import (
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// Silence makes the server hang as a process does that is stopped by SIGSTOP or
// cut off by its network: connections stay open and new ones are accepted, but
// not a byte is read or sent on any of them, neither over gRPC nor over HTTP, and
// the server's clocks for its clients stand still. The server's own methods work
// on; Stop and Close break the connections, and after Restart the server is
// silent still. It is idempotent and lasts until Resume.
func (s *Server) Silence() { s.silence.begin() }

// Resume ends a Silence: requests that are waiting are processed, unless their
// clients broke the connection meanwhile, and subscribers get the lists as they
// are now. Without a Silence it does nothing.
func (s *Server) Resume() {
	if s.silence.on() {
		now := time.Now()
		for _, c := range s.conns.all() {
			c.wakeUp(now)
		}
		s.silence.end()
	}
}

// silence is what all sockets of a server wait for.
type silence struct {
	mu   sync.Mutex    // guards over
	over chan struct{} // closed at the end of the silence; nil if there is none
}

func (s *silence) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = make(chan struct{})
	}
}

func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		close(s.over)
		s.over = nil
	}
}

func (s *silence) on() bool { return s.current() != nil }

func (s *silence) current() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// wait returns true when there is no silence, false when done closes before.
func (s *silence) wait(done <-chan struct{}) bool {
	for {
		over := s.current()
		if over == nil {
			return true
		}
		select {
		case <-over:
		case <-done:
			return false
		}
	}
}

// listener accepts sockets that keep the silence. Its Close breaks them: gRPC's
// server would wait for one that has not said anything yet.
type listener struct {
	net.Listener
	silence *silence

	mu     sync.Mutex // guards all below
	open   map[*socket]struct{}
	closed bool
}

func newListener(l net.Listener, s *silence) *listener {
	return &listener{Listener: l, silence: s, open: map[*socket]struct{}{}}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: c, listener: l, done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // it was accepted just before
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	l.open[s] = struct{}{}
	return s, nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	open := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	for _, s := range open {
		_ = s.Close() // nobody else knows it any more
	}
	return err
}

// socket is one TCP connection.
type socket struct {
	net.Conn
	listener *listener
	once     sync.Once
	done     chan struct{} // closed by Close
}

// socketAddr leads from the address, which is all that gRPC tells of a
// connection, to its socket.
type socketAddr struct {
	net.Addr
	socket *socket
}

// RemoteAddr implements net.Conn.
func (s *socket) RemoteAddr() net.Addr { return socketAddr{s.Conn.RemoteAddr(), s} }

// Read implements net.Conn. It waits after reading, since when the silence begins
// it is usually on its way already. A deadline is of the server's own making.
func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) && !s.listener.silence.wait(s.done) {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) {
	if !s.listener.silence.wait(s.done) {
		return 0, net.ErrClosed
	}
	return s.Conn.Write(b)
}

// Close implements net.Conn.
func (s *socket) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.listener.mu.Lock()
		defer s.listener.mu.Unlock()
		delete(s.listener.open, s)
	})
	return s.Conn.Close()
}
