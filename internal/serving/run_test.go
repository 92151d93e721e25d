package serving_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// journal notes what happened, and when since the start of the bubble.
type journal struct {
	start time.Time

	mu    sync.Mutex // guards lines
	lines []line
}

type line struct {
	what string
	at   time.Duration
}

func (j *journal) note(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line{what, time.Since(j.start)})
}

func (j *journal) all() []line {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines
}

// fakeServer serves until it is told to end.
type fakeServer struct {
	*journal
	stop    chan error    // what Serve returns
	drain   time.Duration // how long the running requests take
	version string
	newest  atomic.Int64 // request, as the time since start plus 1; 0 for none
}

func (s *fakeServer) Serve(ln net.Listener) error {
	s.note("serve")
	err := <-s.stop
	return errors.Join(err, ln.Close())
}

func (s *fakeServer) Registered(in registry.Instance) { s.version = in.Version() }

func (s *fakeServer) SetReady(ready bool) {
	s.note(map[bool]string{true: "ready", false: "not ready"}[ready])
}

func (s *fakeServer) Drain(ctx context.Context) error {
	s.note("drain")
	select {
	case <-time.After(s.drain):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *fakeServer) Close() error {
	s.note("close")
	select {
	case s.stop <- nil:
	default: // stopped already
	}
	return nil
}

func (s *fakeServer) LastRequest() time.Time {
	since := s.newest.Load()
	if since == 0 {
		return time.Time{}
	}
	return s.start.Add(time.Duration(since - 1))
}

func (s *fakeServer) request() { s.newest.Store(int64(time.Since(s.start)) + 1) }

// fakeRegistrar accepts an instance after a while.
type fakeRegistrar struct {
	*journal
	failures int           // how many calls of Register fail
	err      error         // with what
	pending  time.Duration // until Ready
	closing  time.Duration // how long Close takes
	broken   error         // what Ready returns at once

	got registry.Instance
	svc registry.Service
}

func (r *fakeRegistrar) Register(_ context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	r.note("register")
	if r.failures > 0 {
		r.failures--
		return nil, r.err
	}
	r.got, r.svc = in, s
	return &fakeRegistration{r, time.Now().Add(r.pending)}, nil
}

type fakeRegistration struct {
	*fakeRegistrar
	readyAt time.Time
}

func (g *fakeRegistration) Instance() registry.Instance {
	in := g.got
	in.Metadata = map[string]string{registry.KeyVersion: "v7"}
	return in
}

func (g *fakeRegistration) Ready(ctx context.Context) error {
	if g.broken != nil {
		return g.broken
	}
	select {
	case <-time.After(time.Until(g.readyAt)):
		return nil
	case <-ctx.Done():
		return errBoom
	}
}

func (g *fakeRegistration) State() registry.State { return registry.Pending }

func (g *fakeRegistration) Update(context.Context, registry.Instance) error { return errBoom }

func (g *fakeRegistration) Close(ctx context.Context) error {
	g.note("withdraw")
	select {
	case <-time.After(g.closing):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listener has an address and is closed once.
type listener struct{ closed chan struct{} }

func (l listener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l listener) Close() error              { close(l.closed); return nil }
func (l listener) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081} }

// world is one Run with its surroundings.
type world struct {
	journal
	srv fakeServer
	reg fakeRegistrar
	cfg serving.Config
	ln  listener
}

func newWorld() *world {
	w := &world{journal: journal{start: time.Now()}}
	w.srv.journal, w.srv.stop = &w.journal, make(chan error, 1)
	w.reg = fakeRegistrar{journal: &w.journal}
	w.ln = listener{make(chan struct{})}
	w.cfg = serving.Config{
		Registrar: &w.reg, Service: registry.Service{Name: "user"}, Protocol: "http",
		OnError: func(err error) { w.note("error: " + err.Error()) },
	}
	return w
}

// run runs until ctx ends after d.
func (w *world) run(t *testing.T, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := time.AfterFunc(d, cancel)
	defer stop.Stop()
	err := serving.Run(ctx, w.ln, &w.srv, w.cfg)
	select {
	case <-w.ln.closed:
	default:
		assert.Fail(t, "the listener is still open")
	}
	return err
}

// every calls fn n times, each d after the one before.
func (w *world) every(t *testing.T, d time.Duration, n int, fn func()) {
	t.Helper()
	go func() {
		for range n {
			select {
			case <-time.After(d):
				fn()
			case <-t.Context().Done():
				return
			}
		}
	}()
}

func TestRunEndsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.reg.pending, w.reg.closing, w.srv.drain = 500*time.Millisecond, time.Second, 4*time.Second
		w.cfg.Labels = map[string]string{"zone": "a"}

		require.NoError(t, w.run(t, 10*time.Second))
		lines := w.all()
		// Serve and Register run side by side.
		assert.ElementsMatch(t, []line{{"serve", 0}, {"register", 0}}, lines[:2])
		assert.Equal(t, []line{
			{"ready", 500 * time.Millisecond},
			{"not ready", 10 * time.Second},
			{"withdraw", 10 * time.Second},
			{"drain", 13 * time.Second}, // 1 s for the withdrawal, 2 s quiet
			{"close", 17 * time.Second},
		}, lines[2:])
		assert.Equal(t, "v7", w.srv.version, "what was announced, not what was asked for")
		assert.Equal(t, "127.0.0.1:8081", w.reg.got.Addr)
		assert.Equal(t, map[string]string{"zone": "a", "protocol": "http"}, w.reg.got.Metadata)
		assert.Equal(t, map[string]string{"zone": "a"}, w.cfg.Labels, "the caller's map stays as it was")
		assert.Equal(t, "user", w.reg.svc.Name)
	})
}

func TestRunLingers(t *testing.T) {
	tests := []struct {
		name     string
		linger   time.Duration
		interval time.Duration // of requests, all the time
		requests int
		want     time.Duration
	}{
		{name: "for two seconds without requests", want: 2 * time.Second},
		{name: "for ten seconds under traffic", interval: 100 * time.Millisecond, requests: 200, want: 10 * time.Second},
		{
			name:     "until two seconds after the last request",
			interval: 700 * time.Millisecond, requests: 2, want: 400*time.Millisecond + 2*time.Second,
		},
		{name: "for as long as it is told", linger: 500 * time.Millisecond, want: 500 * time.Millisecond},
		{name: "not at all", linger: -1, interval: 100 * time.Millisecond, requests: 100},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.cfg.Linger = tc.linger
				w.every(t, tc.interval, tc.requests, w.srv.request)
				require.NoError(t, w.run(t, time.Second))
				assert.Contains(t, w.all(), line{"drain", time.Second + tc.want})
			})
		})
	}
}

func TestRunServesWithoutTheRegistry(t *testing.T) {
	t.Run("a pending registration is reported and waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.pending = 25 * time.Second
			require.NoError(t, w.run(t, time.Minute))
			assert.Equal(t, []line{
				{"error: not registered yet: boom", time.Second},
				{"error: not registered yet: boom", 11 * time.Second},
				{"error: not registered yet: boom", 21 * time.Second},
				{"ready", 25 * time.Second},
			}, w.all()[2:6])
		})
	})
	t.Run("a failed registration is tried again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.failures, w.reg.err = 2, errBoom
			require.NoError(t, w.run(t, time.Minute))
			assert.Contains(t, w.all(), line{"error: not registered yet: boom", 0})
			assert.Contains(t, w.all(), line{"ready", 11 * time.Second})
		})
	})
	t.Run("a broken registration does not spin", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.broken = registry.ErrClosed
			require.NoError(t, w.run(t, 15*time.Second))
			assert.Len(t, w.all(), 2+3+4, "three reports in 15 s")
			for _, l := range w.all() {
				assert.NotEqual(t, "ready", l.what)
			}
		})
	})
	t.Run("the end does not wait for a registration", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.failures, w.reg.err = 100, errBoom
			require.NoError(t, w.run(t, 5*time.Second))
			lines := w.all()
			assert.Equal(t, []line{
				{"not ready", 5 * time.Second},
				{"drain", 5 * time.Second}, // nobody was told of it: no linger
				{"close", 5 * time.Second},
			}, lines[len(lines)-3:])
		})
	})
	t.Run("a hung withdrawal is given up and reported", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.closing = time.Hour
			require.NoError(t, w.run(t, time.Second))
			assert.Contains(t, w.all(), line{
				"error: may still be registered: context deadline exceeded", 3 * time.Second,
			})
			assert.Contains(t, w.all(), line{"drain", 5 * time.Second})
		})
	})
}

func TestRunFails(t *testing.T) {
	t.Run("at once if the instance can never be registered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.failures, w.reg.err = 1, registry.ErrInvalid
			require.ErrorIs(t, w.run(t, time.Hour), registry.ErrInvalid)
			assert.Zero(t, time.Since(w.start))
		})
	})
	t.Run("as soon as it turns out that the instance can never be registered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.reg.broken = registry.ErrInvalid
			require.ErrorIs(t, w.run(t, time.Hour), registry.ErrInvalid)
			assert.Zero(t, time.Since(w.start))
		})
	})
	t.Run("if the server fails, after withdrawing it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			time.AfterFunc(time.Second, func() { w.srv.stop <- errBoom })
			require.ErrorIs(t, w.run(t, time.Hour), errBoom)
			assert.Equal(t, []line{
				{"not ready", time.Second}, {"withdraw", time.Second}, {"close", time.Second},
			}, w.all()[3:])
		})
	})
	t.Run("if the server ends without a word", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.srv.stop <- nil
			require.ErrorContains(t, w.run(t, time.Hour), "ended by itself")
		})
	})
	t.Run("if the server fails while it lingers, at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			time.AfterFunc(1500*time.Millisecond, func() { w.srv.stop <- errBoom })
			require.ErrorIs(t, w.run(t, time.Second), errBoom)
			assert.Equal(t, 1500*time.Millisecond, time.Since(w.start))
		})
	})
	t.Run("if requests outlive the drain", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.srv.drain, w.cfg.DrainTimeout = time.Hour, 5*time.Second
			err := w.run(t, time.Second)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "cut off")
			assert.Contains(t, w.all(), line{"close", 8 * time.Second})
		})
	})
	t.Run("on a wrong configuration, naming every problem", func(t *testing.T) {
		w := newWorld()
		w.cfg.Registrar, w.cfg.Service.Name, w.cfg.Quiet = nil, "", -1
		err := w.run(t, time.Hour)
		require.ErrorContains(t, err, "no registrar")
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.ErrorContains(t, err, "quiet")
		assert.Empty(t, w.all(), "nothing was started")
	})
}
