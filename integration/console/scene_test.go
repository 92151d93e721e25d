package console

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/integration/internal/fleet"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

const service = "user"

// The load is 200 requests a second, of which each tenth names the version v2.
const (
	workers  = 4
	interval = 20 * time.Millisecond
	named    = 10
)

// scene is a service, its consumer under load, and the judge of each request.
type scene struct {
	t        *testing.T
	nacos    *nacos.Node
	recorder *judge.Recorder
	facts    judge.Facts
	client   *graylane.Client
	http     *http.Client
	view     *resolver.View
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{
		t: t, nacos: nacos.Run(t), recorder: judge.NewRecorder(100_000),
		// This Nacos has just started, and shares a machine with a browser: its first
		// publish alone may take a second.
		facts: judge.Facts{RulesWithin: 2 * time.Second, ListWithin: 5 * time.Second},
	}
}

// provide starts an instance as users do, until the end of the test.
func (s *scene) provide(version string) (addr string) {
	s.t.Helper()
	gl, err := graylane.Open(s.t.Context(), graylane.WithServers(s.nacos.Addr()), graylane.WithIP("127.0.0.1"), graylane.WithVersion(version))
	require.NoError(s.t, err)
	ln, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	s.comes(ln.Addr().String(), version, s.recorder.Now())
	ctx, stop := context.WithCancel(context.Background()) // it outlives the consumer, which leaves in a cleanup
	var served sync.WaitGroup
	served.Go(func() {
		assert.NoError(s.t, httpx.ServeListener(ctx, gl, service, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		}), httpx.WithLinger(-1)))
	})
	s.t.Cleanup(func() {
		stop()
		served.Wait()
		assert.NoError(s.t, gl.Close())
	})
	return ln.Addr().String()
}

// comes tells the judge that an instance may be picked from now on.
func (s *scene) comes(addr, version string, at int64) {
	s.facts.Instances = append(s.facts.Instances, judge.Instance{Service: service, Addr: addr, Version: version, From: at})
}

// leaves tells the judge that an instance may be picked no more.
func (s *scene) leaves(addr string, at int64) {
	for i := range s.facts.Instances {
		if in := &s.facts.Instances[i]; in.Addr == addr && in.Until == 0 {
			in.Until = at
		}
	}
}

// consume starts the consumer and waits until it knows n instances.
func (s *scene) consume(n int) {
	s.t.Helper()
	var err error
	s.client, err = graylane.Open(s.t.Context(), graylane.WithServers(s.nacos.Addr()),
		graylane.WithSlowStart(0), // shares are measured at once
		graylane.WithHooks(s.recorder.Hooks()))
	require.NoError(s.t, err)
	r := s.client.Resolver()
	s.http = httpx.NewClient(r)
	s.view, err = r.View(r.Service(service), "http")
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		s.http.CloseIdleConnections()
		assert.NoError(s.t, s.client.Close())
	})
	s.await("the instances", func(st *resolver.State) bool { return st.Snapshot.Len() == n })
	for i := range s.facts.Instances { // they are known, no list lags
		s.facts.Instances[i].From -= int64(s.facts.ListWithin)
	}
}

// await waits until the consumer's view is as wanted, and returns when.
func (s *scene) await(what string, wanted func(*resolver.State) bool) int64 {
	s.t.Helper()
	reached := errors.New("reached")
	limit, late := context.WithTimeout(s.t.Context(), patience)
	defer late()
	ctx, done := context.WithCancelCause(limit)
	defer done(nil)
	err := s.view.Watch(ctx, func(st *resolver.State) {
		if wanted(st) {
			done(reached)
		}
	})
	require.ErrorIs(s.t, err, reached, "waiting for %s", what)
	return s.recorder.Now()
}

// weight returns an instance's weight in the consumer's list, 0 without it.
func weight(st *resolver.State, addr string) uint32 {
	for _, in := range st.Snapshot.All() {
		if in.Addr == addr {
			return in.Weight
		}
	}
	return 0
}

// load sends requests until stop, which waits for the last answers.
func (s *scene) load() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var ids atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			again := time.NewTicker(interval)
			defer again.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-again.C:
					s.ask(context.WithoutCancel(ctx), ids.Add(1))
				}
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); all.Wait() })
}

// ask makes one request, of which the judge hears.
func (s *scene) ask(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := judge.Request{ID: strconv.FormatInt(id, 10), Protocol: "http", Service: service, Method: http.MethodGet, Path: "/hello"}
	if id%named == 0 {
		r.Headers = map[string]string{lane.HeaderVersion: "v2"}
	}
	ctx, answered := s.recorder.Begin(ctx, r)
	answered(fleet.Get(ctx, s.http, r))
}

// publishes tells the judge of a document, and waits until the consumer follows
// it; it prints after what time the first request did.
func (s *scene) publishes(what, text string, c click) {
	s.t.Helper()
	p := judge.Publication{Service: service, Text: text, Sent: c.sent, Answered: c.answered}
	s.facts.Publications = append(s.facts.Publications, p)
	s.await(what, func(st *resolver.State) bool { return st.Revision() == p.Revision() })
	var after time.Duration
	require.Eventually(s.t, func() (ok bool) {
		log, _ := s.recorder.Log()
		after, ok = p.Followed(log)
		return ok
	}, patience, tick, "a request under %s", what)
	s.figure("%s: first request under it %v after the click; the page said that it is done after %v",
		what, since(c.sent, c.answered+int64(after)), since(c.sent, c.answered))
}

// shares waits for n requests that name no version, and returns which part of
// them each version and each address got.
func (s *scene) shares(n int) map[string]float64 {
	s.t.Helper()
	from := s.recorder.Now()
	var served []judge.Attempt
	require.Eventually(s.t, func() bool {
		log, _ := s.recorder.Log()
		served = served[:0]
		for i := range log {
			if a := &log[i]; a.Begin >= from && a.Headers == nil {
				served = append(served, *a)
			}
		}
		return len(served) >= n
	}, patience, 100*time.Millisecond, "%d requests", n)
	out := map[string]float64{}
	for i := range served {
		out[served[i].Version] += 1 / float64(len(served))
		out[served[i].Addr] += 1 / float64(len(served))
	}
	return out
}

// verdict lets the judge look at every request.
func (s *scene) verdict() {
	s.t.Helper()
	log, err := s.recorder.Log()
	require.NoError(s.t, err)
	report, err := judge.Judge(s.facts, log)
	require.NoError(s.t, err)
	assert.Zero(s.t, report.Misrouted, "misrouted: %s", strings.Join(report.Convictions(5), "\n"))
	assert.Zero(s.t, report.Late, "attempts under rules or lists that were too old")
	assert.Zero(s.t, report.Failed, "failed requests")
	s.figure("%d requests, %d misrouted, %d failed, %d under old rules %v after the page said that it is done",
		report.Requests, report.Misrouted, report.Failed, report.Late, s.facts.RulesWithin)
}

// figure prints a measurement, for the eye of whoever reads the log of CI.
func (s *scene) figure(format string, args ...any) {
	s.t.Helper()
	s.t.Logf("FIGURE console: "+format, args...)
}

func since(from, to int64) time.Duration { return time.Duration(to - from).Round(time.Millisecond) }
