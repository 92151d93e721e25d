package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// clusterSize is how many nodes a cluster has: the fewest of which one may fail.
const clusterSize = 3

// portStep is how far the nodes' ports are apart.
const portStep = 10

// clusterTimeout bounds the start of a cluster.
const clusterTimeout = 4 * time.Minute

// Cluster is three servers that know each other, each with storage of its own.
type Cluster struct {
	// Nodes may be killed and started again one by one.
	Nodes []*Node
}

// StartCluster starts three nodes, and returns when each is up, sees the others
// and knows who leads. Options.Port and ConsolePort are the first node's; see
// Start for the rest.
func StartCluster(ctx context.Context, o Options) (*Cluster, error) {
	if o.Auth {
		return nil, errors.New("nacos: Auth is for single nodes")
	}
	inst, err := prepare(ctx, releaseV3(), &o)
	if err != nil {
		return nil, err
	}
	all, err := choosePorts(ctx, o.Port, o.ConsolePort, clusterSize)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	for _, p := range all {
		n, err := newNode(inst, p, all)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.Nodes = append(c.Nodes, n)
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// start launches all nodes and then waits: each needs the others to be up.
func (c *Cluster) start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.launch(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx) // one that fails ends the wait for all
	defer cancel(nil)
	var all sync.WaitGroup
	for _, n := range c.Nodes {
		all.Go(func() {
			if err := n.waitReady(ctx); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// RunCluster starts a cluster for the length of a test, as Run does a node.
func RunCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := StartCluster(tb.Context(), Options{Logf: tb.Logf})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(c.LogTail())
		}
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Addrs returns the nodes' "127.0.0.1:port" of the HTTP API.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// LogTail returns the last lines that each node printed.
func (c *Cluster) LogTail() string {
	var text strings.Builder
	for _, n := range c.Nodes {
		fmt.Fprintf(&text, "nacos: last lines of the node on port %d:\n%s\n", n.ports.http, n.LogTail())
	}
	return text.String()
}

// Close kills the nodes and removes what they have stored. It is idempotent.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// seesCluster fails as long as the node does not count every member among the
// living, or a Raft group has no leader.
func (n *Node) seesCluster(ctx context.Context) error {
	const path = "/nacos/v3/admin/core/cluster/node/list"
	text, err := get(ctx, "http://"+n.Addr()+path)
	if err != nil {
		return err
	}
	var answer struct {
		Data []struct {
			Address    string
			State      string
			ExtendInfo struct {
				RaftMetaData struct {
					MetaDataMap map[string]struct{ Leader string }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(answer.Data) != len(n.members) {
		return fmt.Errorf("%s: %d members of %d", path, len(answer.Data), len(n.members))
	}
	for _, m := range answer.Data {
		if m.State != "UP" {
			return fmt.Errorf("%s: %s is %s", path, m.Address, m.State)
		}
		for group, raft := range m.ExtendInfo.RaftMetaData.MetaDataMap {
			if m.Address == n.Addr() && raft.Leader == "" {
				return fmt.Errorf("%s: nobody leads %s", path, group)
			}
		}
	}
	return nil
}
