package nacostest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/stats"

	"github.com/graylane/graylane/registry"
)

// How long the server waits for a client, as Nacos does.
const (
	idleBeforeDetection = 20 * time.Second // without a sign of life
	detectionTimeout    = 5 * time.Second
	namingRepeat        = 6 * time.Second // until an unacknowledged push is repeated
	configRepeat        = 5 * time.Second // the first time, and configRepeatStep more each time
	configRepeatStep    = 2 * time.Second
)

// Connection is one gRPC connection that a client has set up.
type Connection struct {
	ID, RemoteAddr string
	// Module is the label "module", "naming" or "config".
	Module        string
	ClientVersion string
	Namespace     string
	Labels        map[string]string
}

// Connections returns the connections that are set up, by ID.
func (s *Server) Connections() []Connection {
	var list []Connection
	for _, c := range s.conns.all() {
		if info, ok := c.connection(); ok {
			info.Labels = maps.Clone(info.Labels)
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Disconnect breaks a connection as a lost network does, and reports whether
// there was one with that ID.
func (s *Server) Disconnect(id string) bool {
	for _, c := range s.conns.all() {
		if c.id == id {
			c.kill()
			return true
		}
	}
	return false
}

// Reset asks a client to leave this server: for the one at addr, the "ip:port" of
// an HTTP server, or for any other if addr is empty. It reports whether there was
// a connection with that ID.
func (s *Server) Reset(id, addr string) bool {
	for _, c := range s.conns.all() {
		if c.id == id {
			c.enqueue(push{typ: typeReset, subject: registry.Service{Name: addr}})
			return true
		}
	}
	return false
}

// conns holds the gRPC connections. As a stats.Handler it ties the requests of
// one connection together.
type conns struct {
	ended func(*conn) // called once for each connection
	mu    sync.Mutex  // guards open; no other lock is taken under it
	open  map[*conn]struct{}
}

func newConns(ended func(*conn)) *conns {
	return &conns{ended: ended, open: map[*conn]struct{}{}}
}

func (cs *conns) all() []*conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Keys(cs.open))
}

func (cs *conns) tick(now time.Time) {
	for _, c := range cs.all() {
		if !c.tick(now) {
			c.kill()
		}
	}
}

type connKey struct{}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// TagConn implements stats.Handler.
func (cs *conns) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	now := time.Now()
	remote := info.RemoteAddr.String()
	host, port, _ := net.SplitHostPort(remote)
	c := newConn(fmt.Sprintf("%d_%s_%s", now.UnixMilli(), host, port), remote, now)
	if a, ok := info.RemoteAddr.(socketAddr); ok {
		c.tcp = a.socket
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.open[c] = struct{}{}
	return context.WithValue(ctx, connKey{}, c)
}

// HandleConn implements stats.Handler.
func (cs *conns) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, ok := s.(*stats.ConnEnd); !ok {
		return
	}
	c := connOf(ctx)
	cs.mu.Lock()
	delete(cs.open, c)
	cs.mu.Unlock()
	c.end()
	cs.ended(c)
}

// TagRPC implements stats.Handler.
func (*conns) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (*conns) HandleRPC(context.Context, stats.RPCStats) {}

// push is something to tell a client. What is sent is read when it is sent, so
// that a slow client gets the newest state and not its history.
type push struct {
	typ string
	// subject is a service, or the tenant, group and data ID of a configuration.
	subject registry.Service
}

// sending is a push on its way.
type sending struct {
	id      string
	at      time.Time
	repeats int
}

// conn is one gRPC connection.
type conn struct {
	id, remote string
	tcp        *socket
	wake       chan struct{} // holds a token while queue may be not empty

	mu     sync.Mutex  // guards all below; no other lock is taken under it
	info   *Connection // nil until it is set up
	over   bool
	seen   time.Time // the last sign of life
	queue  []push    // each push once
	queued map[push]struct{}
	sent   map[push]sending // not yet acknowledged
	ids    map[string]push  // the keys of sent by their request ID
	lastID uint64
}

func newConn(id, remote string, now time.Time) *conn {
	return &conn{
		id: id, remote: remote, wake: make(chan struct{}, 1), seen: now,
		queued: map[push]struct{}{}, sent: map[push]sending{}, ids: map[string]push{},
	}
}

func (c *conn) kill() {
	if c.tcp != nil {
		// The connection's handlers see the end of it.
		_ = c.tcp.Close()
	}
}

// connection returns what the client said at setup, false before that.
func (c *conn) connection() (Connection, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info == nil {
		return Connection{}, false
	}
	return *c.info, true
}

func (c *conn) module() string {
	info, _ := c.connection()
	return info.Module
}

// setUp makes the connection one that may be used; false if it has ended.
func (c *conn) setUp(info *Connection) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.info = info
	return true
}

// end makes the connection one that can no longer be set up.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info, c.over = nil, true
}

func (c *conn) alive(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = now
}

// wakeUp begins the waiting for acknowledgements anew.
func (c *conn) wakeUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, s := range c.sent {
		s.at = now
		c.sent[p] = s
	}
}

// enqueue has p sent soon. It never blocks.
func (c *conn) enqueue(p push) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueueLocked(p)
}

func (c *conn) enqueueLocked(p push) {
	if _, ok := c.queued[p]; ok {
		return
	}
	c.queued[p] = struct{}{}
	c.queue = append(c.queue, p)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// next takes what is to be sent now, with a new request ID.
func (c *conn) next(now time.Time) (p push, id string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return push{}, "", false
	}
	p = c.queue[0]
	c.queue = c.queue[1:]
	delete(c.queued, p)
	c.lastID++
	id = strconv.FormatUint(c.lastID, 10)
	if p.typ != typeSetupAck {
		s := c.sent[p]
		delete(c.ids, s.id)
		s.id, s.at = id, now
		c.sent[p] = s
		c.ids[id] = p
	}
	return p, id, true
}

// acknowledged takes the answer to a push. One to an older sending of the same
// push is ignored: the newer one needs its own.
func (c *conn) acknowledged(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.ids[id]; ok {
		delete(c.ids, id)
		delete(c.sent, p)
	}
}

// forget ends the repeating of a push.
func (c *conn) forget(p push) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ids, c.sent[p].id)
	delete(c.sent, p)
}

// tick repeats what was not acknowledged in time and looks for signs of life. It
// returns false when the client is taken for dead.
func (c *conn) tick(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info == nil {
		return true
	}
	detection := push{typ: typeDetection}
	if s, ok := c.sent[detection]; ok {
		if now.Sub(s.at) >= detectionTimeout {
			return false
		}
	} else if now.Sub(c.seen) >= idleBeforeDetection {
		c.enqueueLocked(detection)
	}
	for p, s := range c.sent {
		var wait time.Duration
		switch p.typ {
		case typeNotifySubscriber:
			wait = namingRepeat
		case typeConfigChange:
			wait = configRepeat + time.Duration(s.repeats)*configRepeatStep
		default:
			continue
		}
		if _, queued := c.queued[p]; !queued && now.Sub(s.at) >= wait {
			s.repeats++
			c.sent[p] = s
			c.enqueueLocked(p)
		}
	}
	return true
}
