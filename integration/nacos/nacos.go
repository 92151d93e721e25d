package nacos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// ErrMissing is in the error of Start where Java or Maven is not installed; the
// message says how to get it.
var ErrMissing = errors.New("nacos: missing")

// Options say how to start a node. The zero value is for tests.
type Options struct {
	// Port is the HTTP port p; gRPC is p+1000, traffic between nodes p+1001, Raft
	// p-1000. 0: a random one whose whole set is free. The nodes of a cluster are
	// 10 apart.
	Port int
	// ConsolePort is the port of the console. 0: p+1. Nacos 2 has its console at
	// its HTTP port.
	ConsolePort int
	// Cache is the folder that keeps the jars from run to run. Empty:
	// .cache/nacos in this repository.
	Cache string
	// Auth has a single node ask everybody for a login; AddUser makes one.
	Auth bool
	// Logf is told what takes long. Nil: nobody is.
	Logf func(format string, args ...any)
}

// startTimeout bounds the start of a node, fetching the jars not counted.
const startTimeout = 2 * time.Minute

// Node is one server. Its methods may be called concurrently.
type Node struct {
	installed installation
	auth      bool
	members   []ports // of its cluster; nil: it stands alone
	ports     ports
	home      string

	mu   sync.Mutex // guards proc; not held while anything is waited for
	proc *process   // the last one that was started
}

// Start starts a standalone node and returns when its
// HTTP API, its gRPC port and its console answer. When ctx ends, so does the
// start, but not a node that is up: Close ends it.
func Start(ctx context.Context, o Options) (*Node, error) { return start(ctx, releaseV3(), o) }

// StartV2 is Start for the generation before, VersionV2.
func StartV2(ctx context.Context, o Options) (*Node, error) { return start(ctx, releaseV2(), o) }

func start(ctx context.Context, r release, o Options) (*Node, error) {
	inst, err := prepare(ctx, r, &o)
	if err != nil {
		return nil, err
	}
	p, err := choosePorts(ctx, o.Port, o.ConsolePort, 1)
	if err != nil {
		return nil, err
	}
	n, err := newNode(inst, p[0], nil)
	if err != nil {
		return nil, err
	}
	n.auth = o.Auth
	if err := n.Start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// prepare fills in the options' defaults and finds what a start needs.
func prepare(ctx context.Context, r release, o *Options) (installation, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return install(ctx, r, *o)
}

func newNode(inst installation, p ports, members []ports) (*Node, error) {
	home, err := os.MkdirTemp("", "nacos-")
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	return &Node{installed: inst, members: members, ports: p, home: home}, nil
}

// Start starts the node again after Kill, with the same ports and what it has
// stored, and returns when it is up.
func (n *Node) Start(ctx context.Context) error {
	if err := n.launch(ctx); err != nil {
		return err
	}
	return n.waitReady(ctx)
}

// launch starts the node's process and does not wait for it.
func (n *Node) launch(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil && !n.proc.ended() {
		return fmt.Errorf("nacos: the node on port %d runs already", n.ports.http)
	}
	proc, err := launch(ctx, n)
	if err == nil {
		n.proc = proc
	}
	return err
}

// process returns the node's last process, nil if there was none.
func (n *Node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// Kill ends the node at once, as kill -9 does, and returns when it is gone. What
// it has stored stays: Start brings it back, Wipe makes it forget.
func (n *Node) Kill() {
	if p := n.process(); p != nil {
		p.kill()
	}
}

// Wipe kills the node and removes what it has stored, so that its next Start is
// that of a new machine.
func (n *Node) Wipe() error {
	n.Kill()
	if err := errors.Join(os.RemoveAll(n.home), os.Mkdir(n.home, 0o700)); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	return nil
}

// Close kills the node and removes what it has stored. It is idempotent.
func (n *Node) Close() error {
	n.Kill()
	if err := os.RemoveAll(n.home); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	return nil
}

// Run starts a node for the length of a test. It fails the test where the node
// does not start, and prints the node's last lines where the test fails.
func Run(tb testing.TB) *Node {
	tb.Helper()
	return run(tb, Start)
}

// RunV2 is Run for the generation before, VersionV2.
func RunV2(tb testing.TB) *Node {
	tb.Helper()
	return run(tb, StartV2)
}

func run(tb testing.TB, start func(context.Context, Options) (*Node, error)) *Node {
	tb.Helper()
	n, err := start(tb.Context(), Options{Logf: tb.Logf})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("nacos: last lines of the node on port %d:\n%s", n.ports.http, n.LogTail())
		}
		if err := n.Close(); err != nil {
			tb.Error(err)
		}
	})
	return n
}

// Addr returns "127.0.0.1:port" of the HTTP API; gRPC is 1000 higher.
func (n *Node) Addr() string { return n.ports.addr(n.ports.http) }

// Console returns "127.0.0.1:port" of the console.
func (n *Node) Console() string { return n.ports.addr(n.ports.console) }

// LogTail returns the last lines that the node printed.
func (n *Node) LogTail() string {
	if p := n.process(); p != nil {
		return p.tail(40)
	}
	return ""
}

// Done is closed when the node's process has ended. After another Start there is
// another process.
func (n *Node) Done() <-chan struct{} { return n.process().done }

// ports of one node.
type ports struct{ http, console int }

func (ports) addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (p ports) grpc() int { return p.http + 1000 }

// all returns every port that the node listens on.
func (p ports) all() []int { return []int{p.http, p.console, p.grpc(), p.http + 1001, p.http - 1000} }
