package httpx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// die makes an instance one that nobody listens at, and that is still registered.
func (p *provider) die() {
	_ = p.Listener.Close()
	p.CloseClientConnections()
}

type reading func([]byte) (int, error)

func (r reading) Read(p []byte) (int, error) { return r(p) }

// post returns a request with a body; once: it cannot be had again.
func post(t *testing.T, url, body string, once bool) (*http.Request, *closeable) {
	t.Helper()
	r, c := strings.NewReader(body), newCloseable(nil)
	c.Reader = reading(func(p []byte) (int, error) {
		select {
		case <-c.closed:
			return 0, errors.New("it is closed")
		default:
			return r.Read(p)
		}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, c)
	require.NoError(t, err)
	req.ContentLength = int64(len(body))
	if !once {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	}
	return req, c
}

// answers sends a request and returns the status of its answer.
func answers(t *testing.T, c *http.Client, req *http.Request) int {
	t.Helper()
	resp, err := c.Do(req)
	require.NoError(t, err)
	drained(t, resp)
	return resp.StatusCode
}

func TestADeadInstanceFailsNobody(t *testing.T) {
	for _, scheme := range []string{"http", "h2c", "https"} {
		for name, request := range map[string]func(body string) (*http.Request, *closeable){
			"GET": func(string) (*http.Request, *closeable) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://user/", http.NoBody)
				require.NoError(t, err)
				return req, nil
			},
			"POST":      func(body string) (*http.Request, *closeable) { return post(t, scheme+"://user/", body, false) },
			"POST once": func(body string) (*http.Request, *closeable) { return post(t, scheme+"://user/", body, true) },
		} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				w := newWorld(t)
				var mu sync.Mutex
				var bodies []string
				var attempts [][]string
				serve := func(rw http.ResponseWriter, r *http.Request) {
					b, err := io.ReadAll(r.Body)
					assert.NoError(t, err)
					mu.Lock()
					defer mu.Unlock()
					bodies = append(bodies, string(b))
					attempts = append(attempts, r.Header.Values(lane.HeaderAttempt))
					hello(rw, r)
				}
				w.provideOver(t, scheme, "user", "v1", serve)
				w.provideOver(t, scheme, "user", "v1", serve).die()
				w.provideOver(t, scheme, "user", "v1", serve).die()
				c := w.client(t)
				var want []string
				for i := range 6 {
					body := fmt.Sprint("body ", i)
					req, closed := request(body)
					if closed == nil {
						body = ""
					}
					want = append(want, body)
					require.Equal(t, http.StatusOK, answers(t, c, req))
					assert.Empty(t, req.Header.Values(lane.HeaderAttempt), "the caller's request is not changed")
					if closed != nil {
						closed.requireClosed(t)
					}
				}
				assert.Equal(t, want, bodies, "each is delivered whole, and once")
				for _, a := range attempts {
					assert.Empty(t, a, "what did not arrive is not sent again")
				}
				assert.Zero(t, w.inFlight(t, "user"))
			})
		}
	}
}

func TestWhatMayBeSentTwice(t *testing.T) {
	var sent atomic.Int64
	fails := func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sent.Add(1)
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, "not now")
	}
	plain := func(r *http.Request) *http.Request { return r }
	header := func(name string) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request {
			r.Header[name] = []string{"17"}
			return r
		}
	}
	marked := func(r *http.Request) *http.Request { return r.WithContext(resolver.WithIdempotent(r.Context())) }
	for _, c := range []struct {
		method string
		how    func(*http.Request) *http.Request
		once   bool // the body
		want   int64
	}{
		{http.MethodGet, plain, false, 3},
		{http.MethodHead, plain, false, 3},
		{http.MethodOptions, plain, false, 3},
		{http.MethodPut, plain, false, 3},
		{http.MethodDelete, plain, false, 3},
		{http.MethodPost, plain, false, 1},
		{http.MethodPatch, plain, false, 1},
		{http.MethodPost, header("Idempotency-Key"), false, 3},
		{http.MethodPost, header("X-Idempotency-Key"), false, 3},
		{http.MethodPatch, marked, false, 3},
		{http.MethodPost, header("Idempotency-Key"), true, 1}, // the body is used up
		{http.MethodPut, plain, true, 1},
	} {
		t.Run(fmt.Sprint(c.method, c.want, c.once), func(t *testing.T) {
			w := newWorld(t)
			w.provide(t, "user", "v1", fails)
			w.provide(t, "user", "v1", fails)
			sent.Store(0)
			req, body := post(t, "http://user/", "x", c.once)
			req.Method = c.method
			resp, err := w.client(t).Do(c.how(req))
			require.NoError(t, err)
			assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "the last answer is the caller's")
			if c.method != http.MethodHead {
				assert.Equal(t, "not now", drained(t, resp), "with its body")
			}
			require.NoError(t, resp.Body.Close())
			body.requireClosed(t)
			assert.Equal(t, c.want, sent.Load())
			for range c.want {
				assert.Equal(t, http.StatusServiceUnavailable, w.outcome(t).Status)
			}
			w.notDone(t)
			assert.Zero(t, w.inFlight(t, "user"))
		})
	}
	for status, want := range map[int]int64{500: 1, 429: 1, 501: 1, 502: 3, 503: 3, 504: 3, 505: 1} {
		w := newWorld(t)
		p := w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) })
		require.NoError(t, w.get(t))
		assert.Equal(t, want, p.requests.Load(), "%d", status)
	}
}

// get asks user once.
func (w *world) get(t *testing.T) error {
	t.Helper()
	return fetch(t.Context(), w.client(t), http.MethodGet, "http://user/")
}

func TestAnAnswerThatIsGivenUpIsClosed(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		w := newWorld(t)
		ended := make(chan error, 100)
		big := bytes.Repeat([]byte("x"), 32<<20) // more than any buffer on the way
		bad := w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusServiceUnavailable)
			_, err := rw.Write(big)
			ended <- err
		})
		w.provideOver(t, scheme, "user", "v2", hello)
		c := w.client(t)
		for i := 0; i < 100 && bad.requests.Load() == 0; i++ {
			version, _ := get(t, c, scheme+"://user/")
			assert.Equal(t, "v2", version)
		}
		select {
		case err := <-ended:
			require.Error(t, err, "nobody reads it")
		case <-time.After(patience):
			require.Fail(t, "the answer is still open")
		}
		assert.Zero(t, w.inFlight(t, "user"))
	}
}

func TestARetryStaysWithItsVersion(t *testing.T) {
	w := ruled(t, "gray: v1\ndefault: v1\nrules:\n- {name: asked, by: header.x-gray-version}\n", "user")
	v1 := w.provide(t, "user", "v1", hello)
	w.provide(t, "user", "v2", hello).die()
	c := w.client(t)
	for range 10 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user/", http.NoBody)
		require.NoError(t, err)
		req.Header.Set(lane.HeaderVersion, "v2")
		_, err = c.Do(req) //nolint:bodyclose // there is none
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}
	assert.Zero(t, v1.requests.Load())
	version, _ := get(t, c, "http://user/")
	assert.Equal(t, "v1", version)

	alive := w.provide(t, "user", "v2", hello)
	v, err := w.resolver.View(w.resolver.Service("user"), "http")
	require.NoError(t, err)
	defer v.Close()
	require.Eventually(t, func() bool { return v.State().Snapshot.Len() == 3 }, patience, time.Millisecond)
	for range 20 {
		version, _ := get(t, c, "http://user/", "X-Gray-Version: v2")
		require.Equal(t, "v2", version)
	}
	assert.EqualValues(t, 20, alive.requests.Load())
	assert.EqualValues(t, 1, v1.requests.Load())
}

func TestARetryIsNotRetriedFurtherOn(t *testing.T) {
	w := newWorld(t)
	var marks atomic.Int64
	inner := w.provide(t, "inner", "v1", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get(lane.HeaderAttempt) == "retry" {
			marks.Add(1)
		}
		rw.WriteHeader(http.StatusBadGateway)
	})
	w.provide(t, "half", "v1", hello)
	w.provide(t, "half", "v1", hello).die()
	c := w.client(t)
	middle := func(rw http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+r.URL.Query().Get("to")+"/", http.NoBody)
		if !assert.NoError(t, err) {
			return
		}
		resp, err := c.Do(req)
		if !assert.NoError(t, err) {
			return
		}
		_ = resp.Body.Close()
		rw.WriteHeader(resp.StatusCode)
	}
	w.provide(t, "middle", "v1", middle)
	ask := func(to string, marked bool) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://middle/?to="+to, http.NoBody)
		require.NoError(t, err)
		if marked {
			req.Header.Set(lane.HeaderAttempt, "retry")
		}
		return answers(t, c, req)
	}
	assert.Equal(t, http.StatusBadGateway, ask("inner", false))
	assert.EqualValues(t, 3, inner.requests.Swap(0), "two retries")
	assert.EqualValues(t, 2, marks.Swap(0))
	assert.Equal(t, http.StatusBadGateway, ask("inner", true))
	assert.EqualValues(t, 1, inner.requests.Swap(0), "it is part of a retry")
	assert.EqualValues(t, 1, marks.Swap(0), "and says so to whom it asks")
	for range 4 {
		assert.Equal(t, http.StatusOK, ask("half", true), "what did not arrive is sent again all the same")
	}
	// An attempt that did not arrive is not carried out again by the next one.
	w.provide(t, "middle", "v1", middle).die()
	chain := func() int64 {
		require.Equal(t, http.StatusBadGateway, ask("inner", false))
		return inner.requests.Swap(0)
	}
	seen := map[int64]bool{}
	for range 4 {
		seen[chain()] = true
	}
	assert.Equal(t, map[int64]bool{3: true}, seen)
	_, body := get(t, w.client(t), "http://half/")
	assert.Equal(t, "GET /", body)
}

func TestALimitEndsAnAttempt(t *testing.T) {
	w := ruled(t, "gray: v1\ndefault: v1\nlimits: {v1: {timeout: 500ms}}\n", "user", "slow", "long")
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	slow := w.provide(t, "user", "v1", hang)
	w.provide(t, "user", "v1", hello)
	w.provide(t, "slow", "v1", hang)
	w.provide(t, "long", "v1", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, "first ")
		_ = http.NewResponseController(rw).Flush()
		select {
		case <-time.After(700 * time.Millisecond):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(rw, "second")
	})
	c := w.client(t)
	for i := 0; i < 100 && slow.requests.Load() == 0; i++ {
		begin := time.Now()
		_, body := get(t, c, "http://user/")
		assert.Equal(t, "GET /", body, "the other one answers")
		assert.Less(t, time.Since(begin), patience)
	}
	assert.Positive(t, slow.requests.Load())

	_, body := get(t, c, "http://long/")
	assert.Equal(t, "first second", body, "the limit is one of the head")

	for _, method := range []string{http.MethodPost, http.MethodGet} {
		begin := time.Now()
		err := fetch(t.Context(), c, method, "http://slow/")
		require.Error(t, err)
		assert.GreaterOrEqual(t, time.Since(begin), 500*time.Millisecond)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var ne net.Error
		require.ErrorAs(t, err, &ne)
		assert.True(t, ne.Timeout())
		require.ErrorContains(t, err, "no answer within 500ms, the limit of the rule document")
	}
	// The caller's own end comes first.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	require.ErrorIs(t, fetch(ctx, c, http.MethodGet, "http://slow/"), context.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := fetch(ctx, c, http.MethodGet, "http://slow/")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), "limit of the rule document")

	req, closed := post(t, "http://slow/", "x", true)
	_, err = c.Do(req) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.DeadlineExceeded)
	closed.requireClosed(t)
	for _, service := range []string{"user", "slow", "long"} {
		assert.Zero(t, w.inFlight(t, service))
	}
}

// foreign is a context that is none of package context: who derives one from it and does
// not end that leaves a goroutine behind.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }

func TestALimitLeavesNothingBehind(t *testing.T) {
	w := ruled(t, "gray: v1\ndefault: v1\nlimits: {v1: {timeout: 10s}}\n", "user", "gone")
	w.provide(t, "user", "v1", hello)
	w.Set(registry.Service{Name: "gone"}, registry.NewInstance("127.0.0.1:1"))
	c, ctx := w.client(t), foreign{t.Context(), make(chan struct{})}
	require.NoError(t, fetch(ctx, c, http.MethodGet, "http://user/"))
	require.Error(t, fetch(ctx, c, http.MethodGet, "http://gone/"))
	before := runtime.NumGoroutine()
	for range 100 {
		require.NoError(t, fetch(ctx, c, http.MethodGet, "http://user/"))
		require.Error(t, fetch(ctx, c, http.MethodGet, "http://gone/"))
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+50 }, patience, time.Millisecond)
}

func TestARetryLeavesTheCallersContextToDecide(t *testing.T) {
	w := newWorld(t)
	p := w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	c := w.client(t)
	p.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		p.requests.Add(1)
		cancel()
		rw.WriteHeader(http.StatusBadGateway)
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://user/", http.NoBody)
	require.NoError(t, err)
	if resp, err := c.Do(req); err == nil {
		assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
		_ = resp.Body.Close()
	} else {
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.EqualValues(t, 1, p.requests.Load())
}

// flood sends rate requests a second for d, or longer if the machine is busy, and returns
// how many of how many failed.
func flood(t *testing.T, c *http.Client, method string, rate int, d, deadline time.Duration) (failed, all int64) {
	t.Helper()
	var (
		wg sync.WaitGroup
		n  atomic.Int64
	)
	one := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, "http://user/", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for ; all < int64(float64(rate)*d.Seconds()); all++ {
		<-tick.C
		wg.Go(func() {
			if one() != nil {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load(), all
}

func TestUnderLoad(t *testing.T) {
	const rate, d = 400, 1500 * time.Millisecond // fake time has the exact figures, in package resolver
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run("one answers 503 "+method, func(t *testing.T) { // F7
			w := newWorld(t)
			for range 3 {
				w.provide(t, "user", "v1", hello)
			}
			bad := w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(rw, "not now")
			})
			failed, all := flood(t, w.client(t), method, rate, d, patience)
			assert.LessOrEqual(t, bad.requests.Load(), all/20)
			if method == http.MethodGet {
				assert.Zero(t, failed)
			} else {
				assert.Equal(t, bad.requests.Load(), failed)
			}
			t.Logf("FIGURE F7, %s: failed %d of %d in %s, attempts at the bad one %d", method, failed, all, d, bad.requests.Load())
		})
		t.Run("one is killed "+method, func(t *testing.T) { // F3
			w := newWorld(t)
			var ps []*provider
			for range 4 {
				ps = append(ps, w.provide(t, "user", "v1", hello))
			}
			kill := time.AfterFunc(d/3, ps[0].die)
			defer kill.Stop()
			failed, all := flood(t, w.client(t), method, rate, d, patience)
			if method == http.MethodGet {
				assert.Zero(t, failed)
			} else {
				assert.Less(t, failed, all/8, "what was in flight")
			}
			assert.Positive(t, ps[0].requests.Load())
			t.Logf("FIGURE F3, %s: killed after %s: failed %d of %d", method, d/3, failed, all)
		})
	}
	t.Run("one hangs", func(t *testing.T) { // F4
		w := newWorld(t)
		for range 3 {
			w.provide(t, "user", "v1", hello)
		}
		var hangs atomic.Bool
		w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
			if hangs.Load() {
				<-r.Context().Done()
			}
			hello(rw, r)
		})
		c := w.client(t)
		failed, _ := flood(t, c, http.MethodGet, rate, d/2, patience)
		require.Zero(t, failed)
		hangs.Store(true)
		failed, all := flood(t, c, http.MethodGet, rate, d, time.Second)
		assert.Less(t, failed, all/8, "half of what it would get, on a machine that is busy")
		t.Logf("FIGURE F4: 1 of 4 hangs for %s, deadline 1 s: failed %d of %d", d, failed, all)
	})
}

func TestTheLastErrorIsTheCallers(t *testing.T) {
	w := newWorld(t)
	w.Set(registry.Service{Name: "user"}, registry.NewInstance("127.0.0.1:1"))
	var op *net.OpError
	require.ErrorAs(t, w.get(t), &op)
	assert.Equal(t, "dial", op.Op)
	for range 3 {
		require.Error(t, w.outcome(t).Err, "the last error of three attempts")
	}
	w.notDone(t)
	req, closed := post(t, "http://user/", "x", true)
	_, err := w.client(t).Do(req) //nolint:bodyclose // there is none
	require.ErrorAs(t, err, &op)
	closed.requireClosed(t)
}

// An answer that is given up need not end.
func TestARetryDoesNotWaitForTheAnswerThatItGivesUp(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			bad := w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				rw.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(rw, "busy")
				assert.NoError(t, http.NewResponseController(rw).Flush())
				<-r.Context().Done()
			})
			w.provideOver(t, scheme, "user", "v1", hello)
			c := w.client(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for i := 0; i < 100 && bad.requests.Load() == 0; i++ {
				resp := send(ctx, t, c, http.MethodGet, scheme+"://user/", http.NoBody)
				assert.Equal(t, http.StatusOK, resp.StatusCode)
				drained(t, resp)
			}
			assert.Positive(t, bad.requests.Load())
		})
	}
}

func TestAnAnswerWithoutBytesEndsWithItsTrailers(t *testing.T) {
	w := ruled(t, "gray: v1\ndefault: v1\nlimits: {v1: {timeout: 10s}}\n", "user")
	read := make(chan struct{})
	w.provideOver(t, "h2c", "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "0")
		rw.Header().Set("Trailer", "X-End")
		assert.NoError(t, http.NewResponseController(rw).Flush())
		<-read
		rw.Header().Set("X-End", "yes")
	})
	resp := send(t.Context(), t, w.client(t), http.MethodGet, "h2c://user/", http.NoBody)
	close(read)
	assert.Empty(t, drained(t, resp))
	assert.Equal(t, "yes", resp.Trailer.Get("X-End"))
}
