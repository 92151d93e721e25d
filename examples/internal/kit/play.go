package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/lane"
)

// Ask sends a request in a context and returns who answered.
type Ask func(ctx context.Context) (string, error)

// Play is the operator of a service with the versions v1 and v2: it publishes
// rules while requests run, prints who answers, and removes the rules.
func Play(ctx context.Context, out io.Writer, nacos *Nacos, service string, ask Ask) (err error) {
	defer func() { err = errors.Join(err, nacos.Remove(context.WithoutCancel(ctx), service)) }()
	v2 := lane.WithHeader(ctx, lane.HeaderVersion, "v2") // goes along with each request
	for _, step := range []struct {
		name, rules string
		ctx         context.Context //nolint:containedctx // whom the request is from
		wanted      string          // an answer that shows that the rules are in force
		row, count  int
	}{
		{"no rules", "", ctx, "v2", 1, 1000},
		{"all to v1", "{gray: v1, default: v1}", ctx, "v1", 5, 1000},
		{"10 % to v2", "{gray: v1, default: v1, rules: [{name: ten, to: {v2: 10%}}]}", ctx, "v2", 1, 1000},
		{"x-gray-version: v2", "{gray: v1, default: v1, rules: [{name: asked-for, by: header.x-gray-version}]}", v2, "v2", 25, 1000},
	} {
		if step.rules == "" { // both are there
			if err := Until(step.ctx, 1, "v1", ask); err != nil {
				return err
			}
		} else if err := nacos.Publish(ctx, service, step.rules); err != nil {
			return err
		}
		if err := Until(step.ctx, step.row, step.wanted, ask); err != nil {
			return err
		}
		who, err := Tally(step.ctx, step.count, ask)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-20s %s\n", step.name, who)
	}
	return nil
}

// Until asks until n answers in a row are the wanted one. Nacos tells its clients
// of a change a moment later; failures meanwhile are asked again.
func Until(ctx context.Context, n int, wanted string, ask Ask) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for row := 0; ; {
		answer, err := ask(ctx)
		row++
		if err != nil || answer != wanted {
			row = 0
		}
		if row == n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q, got %q: %w", wanted, answer, errors.Join(err, ctx.Err()))
		}
	}
}

// Tally asks n times and returns who answered, such as "v1 ×900  v2 ×100".
func Tally(ctx context.Context, n int, ask Ask) (string, error) {
	counts := map[string]int{}
	for range n {
		answer, err := ask(ctx)
		if err != nil {
			return "", err
		}
		counts[answer]++
	}
	var parts []string
	for _, answer := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s ×%d", answer, counts[answer]))
	}
	return strings.Join(parts, "  "), nil
}
