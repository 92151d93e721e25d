package nacos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

// Version is the Nacos release that Start runs.
const Version = "3.1.0"

// ErrMissing is in the error of Start where Java or Maven is not installed; the
// message says how to get it.
var ErrMissing = errors.New("nacos: missing")

// Options say how to start a node. The zero value is for tests.
type Options struct {
	// Port is the HTTP port p; gRPC is p+1000, traffic between nodes p+1001, Raft
	// p-1000. 0: a random one whose whole set is free.
	Port int
	// ConsolePort is the port of the console. 0: p+1.
	ConsolePort int
	// Cache is the folder that keeps the jars from run to run. Empty:
	// .cache/nacos in this repository.
	Cache string
	// Logf is told what takes long. Nil: nobody is.
	Logf func(format string, args ...any)
}

// startTimeout bounds the start of a node, fetching the jars not counted.
const startTimeout = 2 * time.Minute

// Node is one running server. Its methods may be called concurrently.
type Node struct {
	ports ports
	home  string
	proc  *process
}

// Start starts a standalone node without authentication and returns when its
// HTTP API, its gRPC port and its console answer. When ctx ends, so does the
// start, but not a node that is up: Close ends it.
func Start(ctx context.Context, o Options) (*Node, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	inst, err := install(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, err := choosePorts(ctx, o.Port, o.ConsolePort)
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "nacos-")
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	n := &Node{ports: p, home: home}
	if n.proc, err = launch(ctx, inst, p, home); err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	if err := n.waitReady(ctx); err != nil {
		err = fmt.Errorf("nacos: node on port %d is not ready: %w; its last lines:\n%s", p.http, err, n.LogTail())
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Run starts a node for the length of a test. It fails the test where the node
// does not start, and prints the node's last lines where the test fails.
func Run(tb testing.TB) *Node {
	tb.Helper()
	n, err := Start(tb.Context(), Options{Logf: tb.Logf})
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
func (n *Node) LogTail() string { return n.proc.tail(40) }

// Done is closed when the node's process has ended.
func (n *Node) Done() <-chan struct{} { return n.proc.done }

// Close kills the node and removes its data. It is idempotent.
func (n *Node) Close() error {
	n.proc.kill()
	if err := os.RemoveAll(n.home); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	return nil
}

// ports of one node.
type ports struct{ http, console int }

func (ports) addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (p ports) grpc() int { return p.http + 1000 }

// all returns every port that the node listens on.
func (p ports) all() []int { return []int{p.http, p.console, p.grpc(), p.http + 1001, p.http - 1000} }
