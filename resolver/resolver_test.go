package resolver

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var order = registry.Service{Name: "order"}

// source is a config.Source that says what a test tells it to.
type source struct {
	mu  sync.Mutex
	fns map[string]func(config.Doc)
	now map[string]config.Doc
	// silent: nothing is said of the global document until a test says something;
	// else it is absent.
	silent bool
}

func newSource() *source {
	return &source{fns: map[string]func(config.Doc){}, now: map[string]config.Doc{}}
}

func (s *source) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	s.mu.Lock()
	s.fns[dataID] = fn
	if d, ok := s.now[dataID]; ok || !s.silent && dataID == config.GlobalDocID {
		fn(d)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fns, dataID)
	return context.Cause(ctx)
}

// say makes text the document of order; "" says that there is none.
func (s *source) say(text string) string { return s.sayOf(config.ServiceDocID(order.Name), text) }

// sayOf is say for any document.
func (s *source) sayOf(id, text string) string {
	d := config.Doc{}
	if text != "" {
		sum := md5.Sum([]byte(text))
		d = config.Doc{Content: []byte(text), MD5: hex.EncodeToString(sum[:]), State: config.Present}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now[id] = d
	if fn := s.fns[id]; fn != nil {
		fn(d)
	}
	return d.MD5
}

type request struct{ version, lane, user string }

func (r request) Header(n config.HeaderName) (string, bool) {
	return r.version, n.Lower == "x-gray-version" && r.version != ""
}
func (r request) Cookie(string) (string, bool) { return "", false }
func (r request) Query(string) (string, bool)  { return "", false }
func (r request) Path() string                 { return "/" }
func (r request) Method() string               { return "GET" }
func (r request) User() string                 { return r.user }
func (r request) Lane() string                 { return r.lane }

func instance(addr, version string) registry.Instance {
	in := registry.NewInstance(addr)
	in.Metadata = map[string]string{"version": version}
	return in
}

// errorLog collects what OnError reports.
type errorLog struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorLog) hooks() Hooks {
	return Hooks{OnError: func(_ registry.Service, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.errs = append(l.errs, err)
	}}
}

func (l *errorLog) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errs
}

func open(t *testing.T, w registry.Watcher, src config.Source, opts ...Option) (*Resolver, *View) {
	t.Helper()
	// Lists are obeyed at once, and whoever is ejected stays so for its time.
	opts = append([]Option{WithHold(0), func(o *options) { o.dial = nobody }}, opts...)
	r, err := New(w, src, opts...)
	require.NoError(t, err)
	v, err := r.View(order, "")
	require.NoError(t, err)
	return r, v
}

// nobody listens.
func nobody(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
}

// pick returns where a request goes.
func pick(t *testing.T, v *View, req config.Request) string {
	t.Helper()
	c, err := v.Pick(t.Context(), req, nil)
	require.NoError(t, err)
	c.Done(t.Context(), Outcome{})
	return c.Addr()
}

const toV1, toV2 = "gray: v1\ndefault: v1\n", "gray: v1\ndefault: v2\n"

func TestListsAndRulesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2")) // before the watch: one first list
		r, v := open(t, reg, src)
		defer r.Close()
		one := src.say(toV1)
		synctest.Wait()
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
		assert.Equal(t, one, v.State().Revision())

		two := src.say(toV2)
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
		assert.Equal(t, two, v.State().Revision())
		assert.EqualValues(t, 1, v.State().Snapshot.Revision())

		reg.Set(order, instance("10.0.0.3:1", "v2"))
		synctest.Wait()
		assert.Equal(t, "10.0.0.3:1", pick(t, v, request{}))
		assert.EqualValues(t, 2, v.State().Snapshot.Revision())
	})
}

func TestTheFirstRequestWaitsForListAndRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		r, v := open(t, reg, src)
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		got := make(chan string)
		go func() {
			c, err := v.Pick(t.Context(), request{}, nil)
			assert.NoError(t, err)
			c.Done(t.Context(), Outcome{})
			got <- c.Addr()
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("answered before the rules were known")
		default:
		}
		src.say(toV2)
		assert.Equal(t, "10.0.0.2:1", <-got)
	})
}

func TestASourceThatIsDownDoesNotKeepAServiceDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		start := time.Now()
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
		assert.Equal(t, rulesWait, time.Since(start))
		require.Len(t, log.all(), 1)
		require.ErrorIs(t, log.all()[0], ErrNoDocument)

		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		src.say(toV2)
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}), "the answer still counts when it comes")
	})
}

func TestABadOrDeletedDocumentLeavesTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		good := src.say(toV2)
		require.NoError(t, v.Ready(t.Context()))

		src.say("gray: v1\ndefalt: v1\n")
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
		require.Len(t, log.all(), 1)
		var refused *RefusedError
		require.ErrorAs(t, log.all()[0], &refused)
		assert.Contains(t, refused.Error(), "gray.order.yaml:2:1: unknown-field")

		src.say("")
		synctest.Wait()
		assert.Equal(t, "10.0.0.2:1", pick(t, v, request{}))
		require.Len(t, log.all(), 2)
		require.ErrorIs(t, log.all()[1], ErrDocumentGone)
		assert.Equal(t, good, v.State().Revision())

		src.say(toV1)
		synctest.Wait()
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
	})
}

func TestErrorsComeWithinTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		silent := watcherFunc(func(ctx context.Context, _ registry.Service, _ func(registry.Update)) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		r, v := open(t, silent, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := v.Pick(ctx, request{}, nil)
		require.ErrorIs(t, err, ErrNotReady)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, r.Close())

		r, v = open(t, reg, nil)
		_, err = v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, ErrUnknownService)

		reg.Set(order, instance("10.0.0.1:1", "v1"))
		synctest.Wait()
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
		reg.Set(order)
		synctest.Wait()
		_, err = v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, balancer.ErrNoInstance, "it is known, and has nobody")
		require.NotErrorIs(t, err, ErrUnknownService)
		require.NoError(t, r.Close())
	})
}

type watcherFunc func(context.Context, registry.Service, func(registry.Update)) error

func (f watcherFunc) Watch(ctx context.Context, s registry.Service, fn func(registry.Update)) error {
	return f(ctx, s, fn)
}

func TestAWatchThatCannotWorkFailsRequestsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("no such namespace")
		r, v := open(t, watcherFunc(func(context.Context, registry.Service, func(registry.Update)) error {
			return cause
		}), nil)
		defer r.Close()
		_, err := v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, cause)
	})
}

func TestEqualListsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		updates := 0
		r, v := open(t, reg, nil, WithHooks(Hooks{OnUpdate: func(*View, *State) { updates++ }}))
		defer r.Close()
		for range 3 {
			reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
			synctest.Wait()
		}
		reg.Set(order, instance("10.0.0.2:1", "v2"), instance("10.0.0.1:1", "v1"))
		synctest.Wait()
		assert.LessOrEqual(t, updates, 2, "an empty list may come before the first Set")
		assert.Equal(t, 2, v.State().Snapshot.Len())
	})
}

func TestAViewSeesOnlyItsProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		r, err := New(reg, nil)
		require.NoError(t, err)
		defer r.Close()
		a, b, c := instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v1"), instance("10.0.0.3:1", "v1")
		a.Metadata["protocol"], b.Metadata["protocol"] = "http", "grpc"
		reg.Set(order, a, b, c)
		for protocol, want := range map[string]int{"http": 2, "grpc": 2, "": 3} {
			v, err := r.View(order, protocol)
			require.NoError(t, err)
			require.NoError(t, v.Ready(t.Context()))
			assert.Equal(t, want, v.State().Snapshot.Len(), protocol)
			for _, in := range v.State().Snapshot.All() {
				if protocol != "" {
					assert.Contains(t, []string{"", protocol}, in.Metadata["protocol"])
				}
			}
		}
	})
}

func TestViewsAreSharedAndEndWithTheLastClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		r, v := open(t, reg, nil)
		defer r.Close()
		again, err := r.View(order, "")
		require.NoError(t, err)
		assert.Same(t, v, again)
		v.Close()
		assert.Equal(t, "10.0.0.1:1", pick(t, again, request{}))
		again.Close()
		synctest.Wait()
		_, err = v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, ErrClosed)
		fresh, err := r.View(order, "")
		require.NoError(t, err)
		assert.NotSame(t, v, fresh)
		assert.Equal(t, "10.0.0.1:1", pick(t, fresh, request{}))
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		r, v := open(t, reg, nil)
		require.NoError(t, v.Ready(t.Context()))
		watched := make(chan error)
		go func() { watched <- v.Watch(t.Context(), func(*State) {}) }()
		synctest.Wait()
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-watched, ErrClosed)
		_, err := v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, ErrClosed)
		_, err = r.View(order, "")
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestWatchReportsTheLatestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		r, v := open(t, reg, nil)
		defer r.Close()
		ctx, cancel := context.WithCancel(t.Context())
		seen := make(chan int, 100)
		go v.Watch(ctx, func(s *State) { seen <- s.Snapshot.Len() }) //nolint:errcheck // it ends with ctx
		for n := range 5 {
			var list []registry.Instance
			for i := range n {
				list = append(list, instance(fmt.Sprintf("10.0.0.1:%d", i+1), "v1"))
			}
			reg.Set(order, list...)
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(seen)
		last := -1
		for n := range seen {
			assert.GreaterOrEqual(t, n, last)
			last = n
		}
		assert.Equal(t, 4, last)
	})
}

func TestServicesAreBounded(t *testing.T) {
	silent := watcherFunc(func(ctx context.Context, _ registry.Service, _ func(registry.Update)) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	r, err := New(silent, nil)
	require.NoError(t, err)
	defer r.Close()
	for i := range MaxServices {
		_, err := r.View(r.Service(fmt.Sprint("s", i)), "")
		require.NoError(t, err)
	}
	_, err = r.View(r.Service("one-more"), "")
	require.ErrorIs(t, err, ErrTooManyServices)
}

func TestNextKeepsTheDecisionAndTriesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		r, v := open(t, reg, src)
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"), instance("10.0.0.3:1", "v2"))
		src.say(toV2)
		synctest.Wait()
		first, err := v.Pick(t.Context(), request{}, nil)
		require.NoError(t, err)
		first.Done(t.Context(), Outcome{Err: errors.New("refused")})

		src.say(toV1)
		synctest.Wait()
		second, err := first.Next(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "v2", second.Instance().Version(), "the target was decided once")
		assert.NotEqual(t, first.Addr(), second.Addr())
		assert.Equal(t, 2, second.Attempt)
		second.Done(t.Context(), Outcome{})

		third, err := second.Next(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, "v2", third.Instance().Version(), "all were tried: a tried one, never another version")
		third.Done(t.Context(), Outcome{})
		for i := range v.State().Snapshot.Len() {
			assert.Zero(t, v.State().Director.Endpoint(i).InFlight())
		}
	})
}

func TestHooksSeeEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		var events []string
		h := Hooks{
			OnPick: func(_ context.Context, c Call, err error) {
				events = append(events, fmt.Sprintf("pick %v %v", c.Instance() != nil, err != nil))
			},
			OnDone: func(_ context.Context, c Call, o Outcome, took time.Duration) {
				events = append(events, fmt.Sprintf("done %s %s %v", c.Addr(), o.Version, took))
			},
		}
		r, v := open(t, reg, nil, WithHooks(h))
		defer r.Close()
		_, err := v.Pick(t.Context(), request{}, nil)
		require.Error(t, err)
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		synctest.Wait()
		c, err := v.Pick(t.Context(), request{}, nil)
		require.NoError(t, err)
		time.Sleep(time.Second) //nolint:forbidigo // fake time
		c.Done(t.Context(), Outcome{Version: "v1"})
		assert.Equal(t, []string{"pick false true", "pick true false", "done 10.0.0.1:1 v1 1s"}, events)
	})
}

func TestOptionsAreValidatedTogether(t *testing.T) {
	_, err := New(nil, nil, WithSlowStart(-1))
	require.ErrorContains(t, err, "registry.Watcher")
	require.ErrorContains(t, err, "WithSlowStart")
}

func TestPickDoesNotAllocate(t *testing.T) {
	reg := memory.New()
	reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
	r, v := open(t, reg, nil)
	defer r.Close()
	require.NoError(t, v.Ready(t.Context()))
	ctx := t.Context()
	var req config.Request = request{version: "v2"}
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		c, err := v.Pick(ctx, req, nil)
		if err != nil {
			t.Error(err)
		}
		c.Done(ctx, Outcome{})
	}))
}

func BenchmarkViewPick(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			reg := memory.New()
			var list []registry.Instance
			for i := range n {
				list = append(list, instance(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), fmt.Sprint("v", i%2)))
			}
			reg.Set(order, list...)
			r, err := New(reg, nil)
			require.NoError(b, err)
			defer r.Close()
			v, err := r.View(order, "")
			require.NoError(b, err)
			require.NoError(b, v.Ready(b.Context()))
			ctx := b.Context()
			var req config.Request = request{version: "v1"}
			b.ReportAllocs()
			for b.Loop() {
				c, err := v.Pick(ctx, req, nil)
				if err != nil {
					b.Fatal(err)
				}
				c.Done(ctx, Outcome{})
			}
		})
	}
}

// A watcher that begins while states follow each other must end up with the
// newest. This needs real concurrency, and many tries.
func TestAWatcherNeverMissesTheNewestState(t *testing.T) {
	reg := memory.New()
	r, v := open(t, reg, nil)
	defer r.Close()
	require.NoError(t, v.Ready(t.Context()))
	for i := range 100_000 {
		older, newest := &State{}, &State{}
		v.live.publish(older)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var begin atomic.Bool
		seen := make(chan *State, 10)
		wg.Go(func() {
			for !begin.Load() { //nolint:revive // both begin at once, or they never meet
			}
			_ = v.Watch(ctx, func(s *State) { seen <- s })
		})
		begin.Store(true)
		for range i % 1000 { // at every moment of the beginning, in turn
			begin.Load()
		}
		v.live.publish(newest)
		for s := (*State)(nil); s != newest; {
			select {
			case s = <-seen:
			case <-time.After(5 * time.Second):
				cancel()
				wg.Wait()
				t.Fatalf("try %d: the newest state never came", i)
			}
		}
		cancel()
		wg.Wait()
	}
}

func TestAgainKeepsTheSlotAndFollowsTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src := memory.New(), newSource()
		picks := 0
		r, v := open(t, reg, src, WithHooks(Hooks{OnPick: func(context.Context, Call, error) { picks++ }}))
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		src.say("gray: v1\ndefault: v1\nrules:\n- {name: half, to: {v2: 50%}}\n")
		synctest.Wait()
		v2 := skipVersion{v.State().Snapshot, "v2"}
		kept := 0
		for i := range 1000 {
			c, err := v.Pick(t.Context(), request{}, v2)
			if err == nil {
				c.Done(t.Context(), Outcome{})
				continue
			}
			require.ErrorIs(t, err, balancer.ErrSkipped)
			in := instance("10.0.0.1:1", "v1")
			in.Weight = uint32(1000 + i) // another state, by a weight
			reg.Set(order, in, instance("10.0.0.2:1", "v2"))
			synctest.Wait()
			again, err := c.Again(t.Context(), request{}, v2)
			require.ErrorIs(t, err, balancer.ErrSkipped, "it drew v2, and waits for v2")
			again, err = again.Again(t.Context(), request{}, nil)
			require.NoError(t, err)
			require.Equal(t, "v2", again.Instance().Version())
			require.Equal(t, c.Decision.Slot, again.Decision.Slot)
			again.Done(t.Context(), Outcome{})
			kept++
		}
		assert.InDelta(t, 500, kept, 5, "the walk is not moved by those that wait")
		assert.Equal(t, 1000+kept, picks, "hooks are told of a failure once")

		c, err := v.Pick(t.Context(), request{version: "v2"}, skipAll{})
		require.ErrorIs(t, err, balancer.ErrSkipped)
		src.say(toV1)
		synctest.Wait()
		again, err := c.Again(t.Context(), request{}, nil)
		require.NoError(t, err)
		assert.Equal(t, "v1", again.Instance().Version(), "new rules are followed")
		again.Done(t.Context(), Outcome{})
	})
}

type skipAll struct{}

func (skipAll) Skip(*balancer.Endpoint) bool { return true }

// skipVersion skips the instances of a version.
type skipVersion struct {
	list    *registry.Snapshot
	version string
}

func (s skipVersion) Skip(e *balancer.Endpoint) bool {
	for _, in := range s.list.All() {
		if in.Addr == e.Addr() {
			return in.Version() == s.version
		}
	}
	return false
}

func TestADocumentThatCannotBeReadDoesNotKeepAServiceDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, log := memory.New(), &errorLog{}
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		broken := sourceFunc(func(context.Context, string, func(config.Doc)) error { return errors.New("not readable") })
		r, v := open(t, reg, broken, WithHooks(log.hooks()))
		defer r.Close()
		start := time.Now()
		assert.Equal(t, "10.0.0.1:1", pick(t, v, request{}))
		assert.Zero(t, time.Since(start), "there is nothing to wait for")
		text := errors.Join(log.all()...).Error()
		for _, id := range []string{config.ServiceDocID(order.Name), config.GlobalDocID} {
			assert.Equal(t, 1, strings.Count(text, id+" ended: not readable"), text)
			assert.Equal(t, 1, strings.Count(text, ErrNoDocument.Error()+": "+id), text)
		}
	})
}

type sourceFunc func(context.Context, string, func(config.Doc)) error

func (f sourceFunc) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	return f(ctx, dataID, fn)
}

func TestAnEndedViewIsNotHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		fails := true
		r, v := open(t, watcherFunc(func(ctx context.Context, s registry.Service, fn func(registry.Update)) error {
			if fails {
				fails = false
				return errors.New("once")
			}
			return reg.Watch(ctx, s, fn)
		}), nil)
		defer r.Close()
		_, err := v.Pick(t.Context(), request{}, nil)
		require.ErrorContains(t, err, "once")
		require.ErrorContains(t, v.Err(), "once")
		again, err := r.View(order, "")
		require.NoError(t, err)
		require.NoError(t, again.Err())
		assert.Equal(t, "10.0.0.1:1", pick(t, again, request{}))
		v.Close()
		assert.Equal(t, "10.0.0.1:1", pick(t, again, request{}), "the old one's Close does not end the new one")
	})
}

func TestAServiceOfTheOtherProtocolAloneIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := memory.New()
		r, err := New(reg, nil)
		require.NoError(t, err)
		defer r.Close()
		v, err := r.View(order, "http")
		require.NoError(t, err)
		synctest.Wait() // an empty list first
		in := instance("10.0.0.1:1", "v1")
		in.Metadata["protocol"] = "grpc"
		reg.Set(order, in)
		synctest.Wait()
		_, err = v.Pick(t.Context(), request{}, nil)
		require.ErrorIs(t, err, balancer.ErrNoInstance)
	})
}

func TestADefaultWithoutInstancesIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, src, log := memory.New(), newSource(), &errorLog{}
		r, v := open(t, reg, src, WithHooks(log.hooks()))
		defer r.Close()
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		src.say("gray: v1\ndefault: v9\n")
		synctest.Wait()
		_, err := v.Pick(t.Context(), request{}, nil)
		require.EqualError(t, err, `balancer: service "order": no instance: target "v9", by default; there are: v1 ×1`)
		reg.Set(order, instance("10.0.0.1:1", "v1"), instance("10.0.0.2:1", "v2"))
		synctest.Wait()
		require.Len(t, log.all(), 1)
		require.ErrorIs(t, log.all()[0], ErrNoDefault)
		require.ErrorContains(t, log.all()[0], "public/DEFAULT_GROUP/order has: v1 ×1")

		src.say(toV1)
		synctest.Wait()
		src.say("gray: v1\ndefault: v9\n")
		synctest.Wait()
		assert.Len(t, log.all(), 2, "once each time")
	})
}

func TestADocumentIsComplainedAboutOncePerService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, log := memory.New(), &errorLog{}
		docs := make(chan config.Doc)
		src := sourceFunc(func(ctx context.Context, dataID string, fn func(config.Doc)) error {
			if dataID == config.GlobalDocID {
				fn(config.Doc{})
				<-ctx.Done()
				return context.Cause(ctx)
			}
			for {
				select {
				case d := <-docs:
					fn(d)
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		})
		r, err := New(reg, src, WithHooks(log.hooks()))
		require.NoError(t, err)
		defer r.Close()
		for _, protocol := range []string{"http", "grpc"} {
			_, err := r.View(order, protocol)
			require.NoError(t, err)
		}
		say := func(text string) {
			for range 2 { // each view has a watch of its own
				docs <- config.NewDoc([]byte(text))
				synctest.Wait()
			}
		}
		reg.Set(order, instance("10.0.0.1:1", "v1"))
		say(toV1)
		say("gray: v9")
		assert.Len(t, log.all(), 1)
		say(toV1)
		say("gray: v9")
		assert.Len(t, log.all(), 2, "again, after it was good")
		say("")
		assert.Len(t, log.all(), 3)
	})
}
