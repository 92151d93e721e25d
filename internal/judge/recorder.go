package judge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/resolver"
)

// Recorder writes a consumer's log. Its methods may be called concurrently.
type Recorder struct {
	start time.Time // carries the monotonic clock
	limit int

	mu      sync.Mutex // guards what follows; a leaf: nothing is called under it
	log     []Attempt
	open    int // requests begun and not answered
	dropped int // attempts beyond the limit
}

// NewRecorder returns a recorder that keeps at most limit attempts.
func NewRecorder(limit int) *Recorder {
	return &Recorder{start: time.Now(), limit: limit}
}

// Now returns the recorder's time: Unix nanoseconds at its making, and from then
// on by the monotonic clock. Facts use the same clock.
func (r *Recorder) Now() int64 {
	return r.start.UnixNano() + int64(time.Since(r.start))
}

// Begin notes that a request begins. The request must be made with the context
// returned. When the caller has its answer, it calls answered once, with the
// version that the server named in the answer, or the error; that completes the
// request's lines.
func (r *Recorder) Begin(ctx context.Context, req Request) (_ context.Context, answered func(version string, err error)) {
	e := &exchange{request: req, begin: r.Now()}
	r.mu.Lock()
	r.open++
	r.mu.Unlock()
	return context.WithValue(ctx, key{}, e), func(version string, err error) { r.finish(e, version, err) }
}

// Hooks returns the hooks that a resolver must be given.
func (r *Recorder) Hooks() resolver.Hooks {
	return resolver.Hooks{OnPick: r.onPick, OnDone: r.onDone}
}

// Log returns a copy of the log, requests in the order of their answers. The
// error says that it is not complete: requests are still open, or the limit cut
// it.
func (r *Recorder) Log() ([]Attempt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := slices.Clone(r.log)
	if r.open > 0 || r.dropped > 0 {
		return log, fmt.Errorf("judge: the log is not complete: %d requests are not answered, %d attempts did not fit", r.open, r.dropped)
	}
	return log, nil
}

// Forget empties the log, for consumers that run for longer than a log can.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log, r.dropped = nil, 0
}

type key struct{}

// exchange is one request that is under way.
type exchange struct {
	request Request
	begin   int64

	mu       sync.Mutex // guards what follows; no other lock is taken under it
	attempts []Attempt
	answered bool // later events are not written
}

func (r *Recorder) onPick(ctx context.Context, c resolver.Call, err error) {
	now := r.Now()
	e, _ := ctx.Value(key{}).(*exchange)
	if e == nil {
		// A request that was not announced is a line without an ID, which the
		// judge convicts: nothing passes by the log.
		r.add(attempt(c, err, Request{}, now, now))
		return
	}
	a := attempt(c, err, e.request, e.begin, now)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.answered {
		e.attempts = append(e.attempts, a)
	}
}

func (r *Recorder) onDone(ctx context.Context, c resolver.Call, o resolver.Outcome, _ time.Duration) {
	now := r.Now()
	e, _ := ctx.Value(key{}).(*exchange)
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answered {
		return
	}
	for i := range e.attempts {
		a := &e.attempts[i]
		if a.Number == c.Attempt && a.Addr == c.Addr() && a.End == 0 {
			a.End, a.Version, a.Error = now, o.Version, text(o.Err)
			return
		}
	}
}

// finish completes the lines of a request and moves them to the log.
func (r *Recorder) finish(e *exchange, version string, err error) {
	now := r.Now()
	e.mu.Lock()
	lines := e.attempts
	again := e.answered
	e.attempts, e.answered = nil, true
	e.mu.Unlock()
	if again {
		return
	}
	if len(lines) == 0 {
		lines = []Attempt{{Request: e.request, Slot: -1, Begin: e.begin, Start: now}}
	}
	for i := range lines {
		if lines[i].End == 0 {
			lines[i].End = now
		}
	}
	last := &lines[len(lines)-1]
	last.Version, last.Error, last.Last = version, text(err), true
	r.add(lines...)
	r.mu.Lock()
	r.open--
	r.mu.Unlock()
}

func (r *Recorder) add(lines ...Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fits := min(len(lines), r.limit-len(r.log))
	r.log = append(r.log, lines[:fits]...)
	r.dropped += len(lines) - fits
}

func attempt(c resolver.Call, err error, req Request, begin, now int64) Attempt {
	a := Attempt{Request: req, Number: c.Attempt, Slot: -1, Begin: begin, Start: now, Error: text(err)}
	a.Service = c.Service().Name
	if c.State == nil {
		return a
	}
	a.Rules, a.List = c.State.Revision(), c.State.Snapshot.Revision()
	d := c.Decision
	if refused, ok := errors.AsType[*balancer.Error](err); ok {
		d = refused.Decision
	}
	switch {
	case err == nil:
		a.Instance, a.Addr = c.Instance().ID, c.Addr()
	case errors.Is(err, balancer.ErrNoInstance):
		a.Refusal = NoInstance
	case errors.Is(err, balancer.ErrUnknownTarget):
		a.Refusal = UnknownTarget
	case errors.Is(err, balancer.ErrSkipped):
		a.Refusal = Skipped
	default:
		return a // there was no decision
	}
	a.Via, a.Rule, a.Target, a.Fallback, a.Slot = d.Via.String(), d.Rule, d.Target, d.Fallback.String(), d.Slot
	return a
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
