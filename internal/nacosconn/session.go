package nacosconn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Module says what a session is for. The server keeps naming state only for
// connections that are labelled so.
type Module string

// The modules of Nacos.
const (
	ModuleNaming Module = "naming"
	ModuleConfig Module = "config"
)

const (
	// healthIdle is how long a connection may be silent before its health is
	// checked. gRPC's own keepalive is not used: Nacos punishes it.
	healthIdle = 5 * time.Second
	// resetGrace is how long a connection that the server wants closed stays open
	// beside its successor, so that our answer and requests in flight get through.
	resetGrace = 500 * time.Millisecond
)

// Handler takes what the server sends on its own. All calls for one session come
// one after the other, in the order of arrival; they must not block. A nil field
// is off.
type Handler struct {
	OnService func(ServiceInfo)
	OnConfig  func(ConfigKey)
	// OnError is told why a connection was lost or could not be made, once per
	// reason, and of messages that could not be read. It may be called
	// concurrently with the others.
	OnError func(error)
}

// Session keeps one connection to Nacos. Its methods may be called concurrently.
type Session struct {
	config  Config
	servers []server
	module  Module
	handler Handler
	stop    context.CancelFunc
	ended   <-chan struct{} // closed by Close
	done    sync.WaitGroup
	warned  bool // of run alone

	// pushing serializes the handler's calls. A connection hands over only while
	// it is the current one, so nothing of an old connection follows something of
	// its successor. Locked before mu.
	pushing sync.Mutex

	mu      sync.Mutex // guards the rest; nothing is called under it
	conn    *Conn      // nil: not connected
	changed chan struct{}
	local   netip.Addr       // of the last connection
	reasons map[server]error // why there is no connection, by server
}

// Open starts a session. It does not wait for the network; an error is about the
// config, with every problem joined.
func Open(cfg Config, module Module, h Handler) (*Session, error) {
	cfg, servers, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Session{
		config: cfg, servers: servers, module: module, handler: h, stop: stop, ended: ctx.Done(),
		changed: make(chan struct{}), reasons: make(map[server]error),
	}
	s.done.Go(func() { s.run(ctx) })
	return s, nil
}

// Close ends the session and waits for it. It is idempotent. The server drops
// what was registered on the connection.
func (s *Session) Close() error {
	s.stop()
	s.done.Wait()
	return nil
}

// Current returns the connection of the moment, nil for none, and a channel that
// is closed when it changes.
func (s *Session) Current() (*Conn, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		select {
		case <-s.conn.lost: // run will see it in a moment, and change it
			return nil, s.changed
		default:
		}
	}
	return s.conn, s.changed
}

// Conn waits for a connection. When ctx ends first, the error has the reason why
// there is none.
func (s *Session) Conn(ctx context.Context) (*Conn, error) {
	for {
		conn, changed := s.Current()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-s.ended:
			return nil, ErrClosed
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", s.reason(), context.Cause(ctx))
		}
	}
}

// Ready waits until there is a connection. When ctx ends first, the error has the
// reason why there is none.
func (s *Session) Ready(ctx context.Context) error {
	_, err := s.Conn(ctx)
	return err
}

// Reason returns why there is no connection, nil if there is one.
func (s *Session) Reason() error {
	if conn, _ := s.Current(); conn != nil {
		return nil
	}
	return s.reason()
}

// Trying reports whether there is no connection, and a server that has not failed yet: one
// may come at any moment.
func (s *Session) Trying() bool {
	conn, _ := s.Current()
	s.mu.Lock()
	defer s.mu.Unlock()
	return conn == nil && len(s.reasons) < len(s.servers)
}

// LocalAddr returns the local address of the connection to Nacos, or of the last
// one; false before the first.
func (s *Session) LocalAddr() (netip.Addr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local, s.local.IsValid()
}

// reason is why there is no connection: what each server said last.
func (s *Session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reasons) == 0 {
		return errors.New("nacos: no server has answered yet")
	}
	order := slices.SortedFunc(maps.Keys(s.reasons), func(a, b server) int { return strings.Compare(a.grpc(), b.grpc()) })
	err := s.reasons[order[0]]
	for _, to := range order[1:] {
		err = fmt.Errorf("%w; %w", err, s.reasons[to])
	}
	return err
}

// run is the session's one goroutine: it connects, watches, and moves on.
func (s *Session) run(ctx context.Context) {
	defer s.swap(nil)
	var (
		wait  pace
		to    = s.servers[rand.IntN(len(s.servers))] // spreads the clients over the cluster
		old   *Conn                                  // to be closed soon; its server wanted to be rid of us
		tried int                                    // servers in a row that failed
	)
	for ctx.Err() == nil {
		conn, err := s.connect(ctx, to)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			s.failed(to, err)
			to = s.after(to)
			tried++
			if tried%len(s.servers) == 0 {
				Pause(ctx, nil, wait.failed())
			}
			continue
		}
		tried = 0
		s.warn(conn)
		s.swap(conn)
		since := time.Now()
		wanted := s.watch(ctx, conn, old)
		old = nil
		to = s.after(to)
		if wanted != nil {
			old = conn // stays current until there is another
			to = s.follow(ctx, conn, *wanted, to)
			Pause(ctx, nil, wait.reset(time.Since(since)))
			continue
		}
		s.swap(nil)
		conn.close()
		if ctx.Err() == nil {
			s.failed(conn.server, conn.err)
			Pause(ctx, nil, wait.lost(time.Since(since)))
		}
	}
	if old != nil {
		old.close()
	}
}

// warn reports, once, that what proves who we are can be read on the way to the
// server. It is not refused: most clusters have no TLS.
func (s *Session) warn(c *Conn) {
	if s.config.Credentials == nil || s.config.TLS != nil || c.Loopback() || s.warned {
		return
	}
	s.warned = true
	s.report(c.server.failure(errPlain))
}

// after is the server that follows one of ours in the list.
func (s *Session) after(one server) server {
	one.ip = netip.Addr{}
	return s.servers[(slices.Index(s.servers, one)+1)%len(s.servers)]
}

// follow is where to go when the server wants to be rid of us: to the one that it
// names if that is one of ours, else to next. Whoever is followed learns the
// credentials and says what exists, so the servers of the config are the only
// ones, as they are for other clients of Nacos. A cluster behind one address is
// entered through that address again, which chooses the node.
func (s *Session) follow(ctx context.Context, from *Conn, named, next server) server {
	if named == (server{}) {
		return next
	}
	to, err := find(ctx, s.servers, named)
	if err != nil {
		s.report(from.server.failure(err))
		return next
	}
	return to
}

// watch looks after conn until it is lost or ctx ends, and closes old, if any,
// after a moment. It returns where to go if the server wants to be rid of us.
func (s *Session) watch(ctx context.Context, conn, old *Conn) *server {
	health := time.NewTimer(healthIdle)
	defer health.Stop()
	var retire <-chan time.Time
	if old != nil {
		defer func() { old.close() }()
		t := time.NewTimer(resetGrace)
		defer t.Stop()
		retire = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-conn.lost:
			return nil
		case to := <-conn.reset:
			return &to
		case <-retire:
			old.close()
		case <-conn.suspect:
			if !conn.checkHealth(ctx) {
				return nil
			}
		case <-health.C:
			if conn.idle() >= healthIdle && !conn.checkHealth(ctx) {
				return nil
			}
			health.Reset(max(healthIdle-conn.idle(), 0))
		}
	}
}

// swap makes conn the current connection; nil: there is none.
func (s *Session) swap(conn *Conn) {
	s.pushing.Lock() // no old connection is handing over now, or will again
	defer s.pushing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	if conn != nil {
		s.local = conn.local
		clear(s.reasons)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// deliver hands over what the server has sent on c.
func (s *Session) deliver(c *Conn, m *push) {
	s.pushing.Lock()
	defer s.pushing.Unlock()
	s.mu.Lock()
	current := s.conn == c
	s.mu.Unlock()
	switch {
	case !current:
	case m.service != nil && s.handler.OnService != nil:
		s.handler.OnService(*m.service)
	case m.config != nil && s.handler.OnConfig != nil:
		s.handler.OnConfig(*m.config)
	}
}

// failed remembers why there is no connection, and reports a new reason.
func (s *Session) failed(to server, err error) {
	s.mu.Lock()
	before := s.reasons[to]
	s.reasons[to] = err
	s.mu.Unlock()
	if before == nil || before.Error() != err.Error() {
		s.report(err)
	}
}

func (s *Session) report(err error) {
	if s.handler.OnError != nil {
		s.handler.OnError(err)
	}
}
