package main

import (
	"context"
	"fmt"
	"time"

	"github.com/graylane/graylane/internal/explain"
)

func rollback(ctx context.Context, s streams, args []string) error {
	r := release{streams: s}
	var addr, id text
	fs := newFlags("rollback")
	r.register(fs)
	fs.Var(&addr, "console", "")
	fs.Var(&id, "to", "")
	name, err := parseName(fs, args, "SERVICE or DOCUMENT")
	if err != nil {
		return err
	}
	c, err := r.flags.console(string(addr))
	if err != nil {
		return err
	}
	r.id = dataID(name)
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.n.Close()
	live, err := c.live(r.n, r.id)
	if err != nil {
		return err
	}
	r.chosen = &live
	all, err := c.versions(r.n.ctx, live, r.id, 2, string(id))
	if err != nil {
		return err
	}
	v, err := before(all, string(id))
	if err != nil {
		return fmt.Errorf("%s: %w", r.id, err)
	}
	fmt.Fprintf(r.talk(), "%s: back to revision %s, published %s (change %s)\n",
		explain.Safe(r.id), v.revision(), v.at().Format(time.DateTime), explain.Plain(v.ID))
	r.content = v.content
	r.n.again(ctx)
	return r.run(ctx)
}
