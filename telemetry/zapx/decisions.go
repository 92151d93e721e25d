package zapx

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// MaxLines is how many lines a second Decisions writes about what goes wrong.
const MaxLines = 100

// Option configures Decisions.
type Option func(*options)

type options struct {
	fields func(context.Context) []zap.Field
}

// WithContext adds fields of a request's context to each of its lines: the IDs of the
// request and of its trace. It is called only for lines that are written.
func WithContext(fields func(context.Context) []zap.Field) Option {
	return func(o *options) { o.fields = fields }
}

// Decisions returns hooks that write to logger who got which request, and why: one of
// every requests that found an instance, at level info (1: each of them, 0: none), and, at
// level warn, each request that found none or fell back, and each attempt that failed.
// Of the latter lines there are at most MaxLines a second; how many were left out says
// the field dropped of the next line. That all candidates were skipped, as while gRPC
// connects, is at level info.
//
// The hooks may be used by several resolvers; they share the limit. Use them beside
// those of Hooks.
func Decisions(logger *zap.Logger, every int, opts ...Option) resolver.Hooks {
	d := &decisions{logger: logger, every: uint64(max(every, 0)), limit: limit{begin: time.Now()}}
	for _, opt := range opts {
		opt(&d.options)
	}
	return resolver.Hooks{OnPick: d.picked, OnDone: d.done}
}

type decisions struct {
	logger *zap.Logger
	every  uint64
	limit  limit
	options

	good atomic.Uint64 // requests that found an instance of their target
}

func (d *decisions) picked(ctx context.Context, c resolver.Call, err error) {
	switch {
	case err != nil:
		d.refused(ctx, &c, err)
	case c.Attempt > 1: // the failure before it has a line
	case c.Decision.Fallback != balancer.NoFallback:
		if line := d.problem(zap.WarnLevel, "request fell back"); line != nil {
			d.write(ctx, line, &c)
		}
	case d.every > 0 && (d.good.Add(1)-1)%d.every == 0:
		if line := d.logger.Check(zap.InfoLevel, "request decided"); line != nil {
			d.write(ctx, line, &c)
		}
	}
}

func (d *decisions) refused(ctx context.Context, c *resolver.Call, err error) {
	reason, level := words.ReasonOf(err), zap.WarnLevel
	if reason == words.Skipped {
		level = zap.InfoLevel
	}
	if line := d.problem(level, "request found no instance"); line != nil {
		d.write(ctx, line, c, zap.Stringer("reason", reason), zap.Error(err))
	}
}

func (d *decisions) done(ctx context.Context, c resolver.Call, o resolver.Outcome, took time.Duration) {
	v := c.Verdict(o)
	if v != balancer.Bad && v != balancer.Unreachable {
		return
	}
	line := d.problem(zap.WarnLevel, "attempt failed")
	if line == nil {
		return
	}
	status := zap.Skip()
	if o.Err == nil {
		status = zap.Int("status", o.Status)
	}
	d.write(ctx, line, &c, zap.String("result", words.Result(v)), status, zap.Error(o.Err), zap.Duration("took", took))
}

// problem begins a line about what goes wrong; nil if it is not to be written.
func (d *decisions) problem(level zapcore.Level, message string) *zapcore.CheckedEntry {
	line := d.logger.Check(level, message)
	if line != nil && !d.limit.allows(time.Now()) {
		return nil
	}
	return line
}

// write writes a line about a call; more are the fields of this line alone.
func (d *decisions) write(ctx context.Context, line *zapcore.CheckedEntry, c *resolver.Call, more ...zap.Field) {
	fields := append(make([]zap.Field, 0, 24), service(c.Service()), text("protocol", c.Protocol()), zap.Int("attempt", c.Attempt))
	if c.State != nil { // else nothing is known of the service, and nothing was decided
		fields = decision(fields, c)
	}
	if in := c.Instance(); in != nil {
		fields = append(fields, text("version", in.Version()), zap.String("addr", in.Addr))
	}
	fields = append(append(fields, text("lane", laneOf(ctx, c))), more...)
	if n := d.limit.dropped.Swap(0); n > 0 {
		fields = append(fields, zap.Int64("dropped", n))
	}
	if d.fields != nil {
		fields = append(fields, d.fields(ctx)...)
	}
	line.Write(fields...)
}

// decision appends what was decided.
func decision(fields []zap.Field, c *resolver.Call) []zap.Field {
	d := &c.Decision
	fields = append(fields, zap.Stringer("via", d.Via), text("rule", d.Rule), text("target", d.Target),
		text("fallback", d.Fallback.String()), text("rules_md5", c.State.Revision()),
		zap.Uint64("list_revision", c.State.Snapshot.Revision()))
	if d.Slot >= 0 {
		fields = append(fields, zap.Int("slot", d.Slot))
	}
	if d.Keyless {
		fields = append(fields, zap.Bool("keyless", true))
	}
	if skipped := d.Skipped(); len(skipped) > 0 {
		fields = append(fields, zap.Strings("skipped", skipped))
	}
	return fields
}

// laneOf returns the lane that a request is in, as far as its decision or its context
// knows it.
func laneOf(ctx context.Context, c *resolver.Call) string {
	if c.Decision.Via == balancer.ViaLane {
		return c.Decision.Target
	}
	return lane.From(ctx)
}

// limit lets MaxLines through in each second.
type limit struct {
	begin   time.Time
	dropped atomic.Int64 // since a line said it

	mu     sync.Mutex // guards what follows; nothing is called under it
	second int64      // since begin
	lines  int        // in it
}

func (l *limit) allows(now time.Time) bool {
	second := int64(now.Sub(l.begin) / time.Second)
	l.mu.Lock()
	defer l.mu.Unlock()
	if second != l.second {
		l.second, l.lines = second, 0
	}
	if l.lines >= MaxLines {
		l.dropped.Add(1)
		return false
	}
	l.lines++
	return true
}
