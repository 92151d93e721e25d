package faults

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graylane/graylane/integration/nacos"
)

// nacosFaults happen to Nacos, or on the way to it.
func nacosFaults() []Fault {
	f23 := newFault("F23", "the consumers' lines to Nacos: 300 ms late, silent, broken, half closed", badLines)
	f23.ConsumerLine = true
	f24 := newFault("F24", "consumers start while no node can be reached, with the disk cache of those before", coldStart)
	f24.ConsumerLine, f24.OursOnly = true, true
	return []Fault{
		f23,
		f24,
		newFault("F18", "one node of three hangs", hangNode),
		newFault("F19", "all nodes hang, and one more provider starts meanwhile", hangAll),
		newFault("F17", "one node of three is killed, and started again", killNode),
		newFault("F21", "rolling restart of the nodes", rollingNodes),
		newFault("F20", "all nodes are killed, their data is wiped, they start empty", wipeAll),
	}
}

// Measures of what must work again.
const (
	reregistered = "seconds from the first node's start until every node lists all"
	subscribed   = "seconds from the start of one more provider until our clients know it"
)

// oneMore proves that our clients still hear: they learn of one more provider.
func (r *run) oneMore(ctx context.Context) error {
	at := r.now()
	if err := r.provide(ctx, len(r.providers), "v1", nil); err != nil {
		return err
	}
	return r.takes(ctx, subscribed, at, func() error { return r.follow(ctx, r.alive()) })
}

func badLines(ctx context.Context, r *run) error {
	for _, m := range []Mode{Delay, Blackhole, Reset, HalfClose} {
		r.lines[0].Set(m, 300*time.Millisecond)
		if err := pause(ctx, r.Watch/2); err != nil {
			return err
		}
	}
	r.lines[0].Set(Pass, 0)
	if err := r.oneMore(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// firstAnswer is the measure of a cold start.
const firstAnswer = "seconds from a client's opening to its first answer"

func coldStart(ctx context.Context, r *run) error {
	if err := r.stop(ctx); err != nil {
		return err
	}
	r.lines[0].Set(Reset, 0)
	before := r.consumers
	r.consumers = nil
	for _, c := range before {
		if err := c.wait(patience); err != nil {
			return err
		}
		c.Cold = true
		p, err := spawn(ctx, c.role())
		if err != nil {
			return err
		}
		c.process = p
		r.consumers = append(r.consumers, c)
		if err := c.hear(ctx, &c.addr); err != nil {
			return err
		}
		if err := c.tell("go"); err != nil {
			return err
		}
	}
	if err := pause(ctx, r.Watch/2); err != nil {
		return err
	}
	err := r.ours(ctx, func(s *state) error {
		r.measures[firstAnswer] = max(r.measures[firstAnswer], s.First.Seconds())
		return nil
	})
	if err != nil {
		return err
	}
	r.lines[0].Set(Pass, 0)
	return r.oneMore(ctx)
}

func hangNode(ctx context.Context, r *run) (err error) {
	node := r.Nacos.Nodes[0]
	if err := node.Pause(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = node.Resume() // the error is said already
		}
	}()
	if err := r.watch(ctx); err != nil {
		return err
	}
	if err := r.oneMore(ctx); err != nil {
		return err
	}
	if err := node.Resume(); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.listed(ctx, r.Nacos.Nodes, r.alive())
}

// known is the measure of what has waited for Nacos.
const known = "seconds from the end of the silence until every node lists the new provider, and our clients know it"

func hangAll(ctx context.Context, r *run) error {
	resume := func() (err error) {
		for _, n := range r.Nacos.Nodes {
			err = errors.Join(err, n.Resume())
		}
		return err
	}
	for _, n := range r.Nacos.Nodes {
		if err := n.Pause(); err != nil {
			return errors.Join(err, resume())
		}
	}
	err := r.watch(ctx)
	if err == nil {
		err = r.provide(ctx, len(r.providers), "v1", nil)
	}
	at := r.now()
	if err := errors.Join(err, resume()); err != nil {
		return err
	}
	err = r.takes(ctx, known, at, func() error {
		return errors.Join(list(ctx, r.Nacos.Nodes, r.service, r.alive()), r.follow(ctx, r.alive()))
	})
	return errors.Join(err, r.settle(ctx))
}

func killNode(ctx context.Context, r *run) error {
	const victim = 1
	node := r.Nacos.Nodes[victim]
	others := slices.Delete(slices.Clone(r.Nacos.Nodes), victim, victim+1)
	node.Kill()
	// What the dead one has told the others stays for a while: they are asked later.
	if err := r.watch(ctx); err != nil {
		return err
	}
	if err := r.listed(ctx, others, r.alive()); err != nil {
		return err
	}
	if err := r.oneMore(ctx); err != nil {
		return err
	}
	return r.start(ctx, node)
}

// start starts nodes, and measures how long it takes from then on until all list
// everything.
func (r *run) start(ctx context.Context, nodes ...*nacos.Node) error {
	ready := make(chan int64, len(nodes))
	var all errgroup.Group
	for _, n := range nodes {
		all.Go(func() error {
			err := n.Start(ctx)
			ready <- r.now()
			return err
		})
	}
	first := <-ready
	if err := all.Wait(); err != nil {
		return err
	}
	if err := r.takes(ctx, reregistered, first, func() error { return list(ctx, r.Nacos.Nodes, r.service, r.alive()) }); err != nil {
		return err
	}
	return r.settle(ctx)
}

func rollingNodes(ctx context.Context, r *run) error {
	nodes := r.Nacos.Nodes
	if r.Restarts < 20 {
		nodes = []*nacos.Node{nodes[0], nodes[2]} // F17 has done it to the other one
	}
	for range max(1, r.Restarts/20) {
		for _, n := range nodes {
			n.Kill()
			if err := r.start(ctx, n); err != nil {
				return err
			}
		}
	}
	return r.oneMore(ctx)
}

func wipeAll(ctx context.Context, r *run) error {
	var all errgroup.Group
	for _, n := range r.Nacos.Nodes {
		all.Go(n.Wipe)
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := pause(ctx, r.Watch/2); err != nil {
		return err
	}
	if err := r.start(ctx, r.Nacos.Nodes...); err != nil {
		return err
	}
	return r.oneMore(ctx)
}
