package httpx_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// echoLines answers each line of a request as it comes.
func echoLines(t *testing.T) http.HandlerFunc {
	t.Helper()
	return func(rw http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(rw)
		assert.NoError(t, ctl.EnableFullDuplex())
		assert.NoError(t, ctl.Flush())
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(rw, "echo "+lines.Text()+"\n")
			assert.NoError(t, ctl.Flush())
		}
	}
}

// hearsEchoes sends line by line, and hears each before it sends the next.
func hearsEchoes(t *testing.T, request io.Writer, answer *bufio.Reader) {
	t.Helper()
	for _, line := range []string{"one\n", "two\n"} {
		_, err := io.WriteString(request, line)
		require.NoError(t, err)
		got, err := answer.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "echo "+line, got)
	}
}

// front starts a gateway that is a service itself, so that its callers speak
// scheme to it as it does to its services, and returns what it logs.
func (w *world) front(t *testing.T, scheme string) (p *provider, logged *logs) {
	t.Helper()
	return w.frontOver(t, scheme, scheme)
}

// frontOver is front for callers that speak another protocol than the services.
func (w *world) frontOver(t *testing.T, front, scheme string, adjust ...func(*http.Server)) (p *provider, logged *logs) {
	t.Helper()
	var opts []httpx.Option
	if scheme == "https" {
		opts = append(opts, w.trust(nil))
	}
	transport := httpx.NewTransport(w.resolver, opts...)
	t.Cleanup(transport.Close)
	logged = &logs{}
	adjust = append(adjust, func(srv *http.Server) { srv.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(logged, nil), 0) })
	p = w.provideOver(t, front, "front", "v1", httpx.NewGateway(transport, over(scheme, byPath())).ServeHTTP, adjust...)
	return p, logged
}

// around puts a handler around a front's gateway.
func around(h func(rw http.ResponseWriter, r *http.Request, gateway http.Handler)) func(*http.Server) {
	return func(srv *http.Server) {
		gateway := srv.Handler
		srv.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h(rw, r, gateway) })
	}
}

// logs keeps what is written.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAGatewayStreamsBothWays(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", echoLines(t))
			front, logged := w.front(t, scheme)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c := w.client(t)
			for range 3 {
				body, write := io.Pipe()
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://front/user/", body)
				require.NoError(t, err)
				resp, err := c.Do(req)
				require.NoError(t, err)
				answer := bufio.NewReader(resp.Body)
				hearsEchoes(t, write, answer)
				require.NoError(t, write.Close())
				_, err = answer.ReadByte()
				require.ErrorIs(t, err, io.EOF)
				require.NoError(t, resp.Body.Close())
			}
			assert.EqualValues(t, 3, front.requests.Load())
			assert.Empty(t, logged.String())
		})
	}
}

// An answer that begins while the request is still on its way must not cost the
// request a byte: of a megabyte, net/http would throw a quarter away.
func TestAGatewayLosesNothingOfARequestThatIsAnsweredEarly(t *testing.T) {
	const size = 1 << 20
	content := bytes.Repeat([]byte("graylane"), size/8)
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				ctl := http.NewResponseController(rw)
				assert.NoError(t, ctl.EnableFullDuplex())
				assert.NoError(t, ctl.Flush())
				_, _ = io.Copy(rw, r.Body)
			})
			_, logged := w.front(t, scheme)
			c := w.client(t)
			for _, length := range []int64{size, -1} {
				for range 3 {
					body := newCloseable(bytes.NewReader(content))
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://front/user/", body)
					require.NoError(t, err)
					req.ContentLength = length
					resp, err := c.Do(req)
					require.NoError(t, err)
					got := drained(t, resp)
					assert.Len(t, got, size)
					assert.Equal(t, sha256.Sum256(content), sha256.Sum256([]byte(got)), "it came back as it was sent")
				}
			}
			assert.Empty(t, logged.String())
		})
	}
}

// What nobody reads of a request is no trouble of the next one on the caller's
// connection.
func TestACallersConnectionServesAfterARequestThatNobodyRead(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	front, logged := w.front(t, "http")
	w.Set(registry.Service{Name: "order"}, registry.NewInstance("127.0.0.1:1"))
	c := w.client(t)
	for range 20 {
		for path, want := range map[string]int{"user": http.StatusNoContent, "order": http.StatusBadGateway, "nobody": http.StatusNotFound} {
			resp := send(t.Context(), t, c, http.MethodPost, "http://front/"+path+"/", strings.NewReader("some content"))
			assert.Equal(t, want, resp.StatusCode)
			drained(t, resp)
		}
	}
	assert.LessOrEqual(t, front.opened.Load(), int64(3), "net/http gives one up that it had to wait 50 ms for")
	assert.Empty(t, logged.String())
}

// dial returns a connection of its own.
func (p *provider) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// raw sends text on a connection of its own, and returns the answer to it.
func (p *provider) raw(t *testing.T, text string) *http.Response {
	t.Helper()
	conn := p.dial(t)
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	return resp
}

// errorOf sends a request that must fail, and returns its error.
func errorOf(t *testing.T, c *http.Client, req *http.Request) error {
	t.Helper()
	resp, err := c.Do(req)
	if err == nil {
		drained(t, resp)
	}
	require.Error(t, err)
	return err
}

const (
	allToV1    = "gray: v1\ndefault: v1\n"
	shortLimit = allToV1 + "limits: {v1: {timeout: 100ms}}\n"
)

// stalled is the body of a caller who stops in the middle of it.
type stalled struct {
	read  bool
	since atomic.Pointer[time.Time] // when it was first waited for
	ended chan struct{}
	once  sync.Once
}

func (s *stalled) Read(p []byte) (int, error) {
	if !s.read {
		s.read = true
		return copy(p, "some"), nil
	}
	now := time.Now()
	s.since.CompareAndSwap(nil, &now)
	<-s.ended
	return 0, io.ErrClosedPipe
}

func (s *stalled) Close() error {
	s.once.Do(func() { close(s.ended) })
	return nil
}

// A caller who stops in the middle of an upload is told when its time is up, and no
// instance is to blame.
func TestAnUploadThatStallsEndsWithItsLimit(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := ruled(t, shortLimit, "user")
			w.provideOver(t, scheme, "user", "v1", swallow)
			c := w.client(t)
			for sent, met := 0, 0; met < 3; sent++ {
				require.Less(t, sent, 100, "it is never waited for")
				body := &stalled{ended: make(chan struct{})}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://user/", body)
				require.NoError(t, err)
				begin := time.Now()
				err = errorOf(t, c, req)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				var limit *resolver.LimitError
				require.ErrorAs(t, err, &limit)
				o := w.outcome(t)
				// A busy machine may need longer than the limit to connect.
				if since := body.since.Load(); since != nil && since.Sub(begin) < limit.After {
					require.ErrorIs(t, o.Err, resolver.ErrGivenUp)
					met++
				}
			}
		})
	}
}

func TestAnUploadThatStallsEndsWithItsContext(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			begun := make(chan struct{})
			w.provideOver(t, scheme, "user", "v1", func(_ http.ResponseWriter, r *http.Request) {
				close(begun)
				_, _ = io.Copy(io.Discard, r.Body)
			})
			body, write := io.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			go func() {
				_, _ = io.WriteString(write, "some")
				<-begun
				cancel(enough)
			}()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://user/", body)
			require.NoError(t, err)
			require.ErrorIs(t, errorOf(t, w.client(t), req), enough)
			require.NoError(t, write.Close())
		})
	}
}

func TestAGatewayAnswersAnUploadThatStalls(t *testing.T) {
	const some = "POST /user/ HTTP/1.1\r\nHost: front\r\nContent-Length: 100\r\n\r\nsome"
	for scheme := range protocols {
		t.Run("limit of "+scheme, func(t *testing.T) {
			w := ruled(t, shortLimit, "user")
			w.provideOver(t, scheme, "user", "v1", swallow)
			front, _ := w.frontOver(t, "http", scheme)
			resp := front.raw(t, some)
			assert.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
			assert.True(t, resp.Close)
			assert.Equal(t, "the service did not answer in time\n", drained(t, resp))
			w.noEvent(t)
		})
	}
	// Over HTTP/1, net/http waits for the caller.
	t.Run("service breaks off", func(t *testing.T) {
		w := newWorld(t)
		w.provideOver(t, "h2c", "user", "v1", func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadFull(r.Body, make([]byte, 4))
			assert.NoError(t, err)
			panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler breaks off
		})
		front, _ := w.frontOver(t, "http", "h2c")
		resp := front.raw(t, some)
		assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
		assert.Equal(t, "the service could not be reached\n", drained(t, resp))
	})
	t.Run("callers over HTTP/2", func(t *testing.T) {
		w := ruled(t, shortLimit, "user")
		w.provide(t, "user", "v1", swallow)
		w.frontOver(t, "h2c", "http")
		body, write := io.Pipe()
		go func() { _, _ = io.WriteString(write, "some") }()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		resp := send(ctx, t, w.client(t), http.MethodPost, "h2c://front/user/", body)
		assert.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
		drained(t, resp)
		require.NoError(t, write.Close())
	})
}

// bare is a http.ResponseWriter that can do no more than that.
type bare struct{ http.ResponseWriter }

// Whoever stops in the middle of a request is told what is wrong with it all the same,
// and leaves nothing behind: net/http would read a request before it answers.
func TestACallerWhoStallsIsToldWhatIsWrong(t *testing.T) {
	const post = "POST /user/ HTTP/1.1\r\nHost: front\r\n"
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, silent.Close()) })
	atMost := func(n int64) func(*http.Server) {
		return around(func(rw http.ResponseWriter, r *http.Request, gateway http.Handler) {
			r.Body = http.MaxBytesReader(nil, r.Body, n)
			gateway.ServeHTTP(rw, r)
		})
	}
	const rest = "Content-Length: 100\r\n\r\nsome"
	for name, tc := range map[string]struct {
		text   string
		want   int
		adjust func(*http.Server)
	}{
		"service that is silent":  {post + rest, http.StatusGatewayTimeout, nil},
		"chunks":                  {post + "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", http.StatusGatewayTimeout, nil},
		"large request":           {post + "Content-Length: 300000\r\n\r\n" + strings.Repeat("x", 270_000), http.StatusGatewayTimeout, nil},
		"large request in chunks": {post + "Transfer-Encoding: chunked\r\n\r\n493E0\r\n" + strings.Repeat("x", 270_000), http.StatusGatewayTimeout, nil},
		"request to be asked for": {post + "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", http.StatusGatewayTimeout, atMost(200)},
		"HTTP/1.0": {
			"POST /user/ HTTP/1.0\r\nHost: front\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
			http.StatusGatewayTimeout, nil,
		},
		"ReadTimeout":                   {post + rest, http.StatusGatewayTimeout, func(srv *http.Server) { srv.ReadTimeout = 50 * time.Millisecond }},
		"ReadTimeout, and all is there": {post + "Content-Length: 4\r\n\r\nsome", http.StatusGatewayTimeout, func(srv *http.Server) { srv.ReadTimeout = 50 * time.Millisecond }},
		"plain http.ResponseWriter": {post + rest, http.StatusGatewayTimeout, around(func(rw http.ResponseWriter, r *http.Request, gateway http.Handler) {
			gateway.ServeHTTP(bare{rw}, r)
		})},
		"no instance":       {post + rest, http.StatusServiceUnavailable, nil},
		"no tunnel":         {"CONNECT front:80 HTTP/1.1\r\nHost: front:80\r\n" + rest, http.StatusMethodNotAllowed, nil},
		"no route":          {strings.Replace(post, "user/", "", 1) + rest, http.StatusNotFound, nil},
		"too large":         {strings.Replace(post, "user", "order", 1) + rest, http.StatusRequestEntityTooLarge, atMost(2)},
		"too large headers": {strings.Replace(post, "user", "order", 1) + manyHeaders() + rest, http.StatusRequestHeaderFieldsTooLarge, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ruled(t, shortLimit, "user")
			in := registry.NewInstance(silent.Addr().String())
			in.Metadata = map[string]string{registry.KeyVersion: "v1"}
			in.Enabled = name != "no instance"
			w.Set(registry.Service{Name: "user"}, in)
			w.provideOver(t, "https", "order", "v1", swallow)
			front, _ := w.frontOver(t, "http", "https", func(srv *http.Server) {
				if tc.adjust != nil {
					tc.adjust(srv)
				}
			})
			if strings.Contains(tc.text, "/order/") { // its limits are known then
				resp := front.raw(t, "GET /order/ HTTP/1.1\r\nHost: front\r\n\r\n")
				require.Equal(t, http.StatusOK, resp.StatusCode)
				drained(t, resp)
			}
			conn := front.dial(t)
			_, err := io.WriteString(conn, tc.text)
			require.NoError(t, err)
			answer := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answer, nil)
			require.NoError(t, err)
			assert.Equal(t, tc.want, resp.StatusCode)
			drained(t, resp)
			if name == "plain http.ResponseWriter" { // it has no deadlines
				return
			}
			assert.Equal(t, name != "ReadTimeout, and all is there", resp.Close)
			if resp.Close {
				requireEnd(t, answer)
			}
		})
	}
}

// manyHeaders are within the limit of a server of HTTP/1, and not of HTTP/2.
func manyHeaders() string {
	var b strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&b, "a%d: b\r\n", i)
	}
	return b.String()
}

// Whoever still sends when a service has refused finds the answer, and no reset.
func TestACallerWhoStillSendsFindsTheAnswer(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
				http.Error(rw, "no", http.StatusRequestEntityTooLarge)
			})
			front, _ := w.frontOver(t, "http", scheme)
			c := front.Client()
			const requests = 40
			reset := 0
			for range requests {
				body := struct{ io.Reader }{bytes.NewReader(make([]byte, 10<<20))}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/user/", body)
				require.NoError(t, err)
				resp, err := c.Do(req)
				if err != nil {
					reset++
					continue
				}
				assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
				assert.Equal(t, "no\n", drained(t, resp))
			}
			assert.LessOrEqual(t, reset, requests/10, "net/http waits 500 ms for a caller to read it, which a busy machine may need")
		})
	}
}

func TestWhatIsWrongWithARequestIsTheCallers(t *testing.T) {
	for name, tc := range map[string]struct {
		text, want string
		status     int
	}{
		"chunk":   {"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\nzz\r\n", "the request cannot be read\n", http.StatusBadRequest},
		"late":    {"Content-Length: 100\r\n\r\nsome", "the request did not come in time\n", http.StatusRequestTimeout},
		"headers": {manyHeaders() + "\r\n", "request headers too large\n", http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			w := ruled(t, allToV1, "user")
			for range 2 {
				w.provideOver(t, "h2c", "user", "v1", swallow)
			}
			front, _ := w.frontOver(t, "http", "h2c", func(srv *http.Server) {
				if name == "late" {
					srv.ReadTimeout = 100 * time.Millisecond
				}
			})
			for range 4 {
				resp := front.raw(t, "GET /user/ HTTP/1.1\r\nHost: front\r\n\r\n") // the connection to it is there
				require.Equal(t, http.StatusOK, resp.StatusCode)
				drained(t, resp)
			}
			for range 12 {
				resp := front.raw(t, "POST /user/ HTTP/1.1\r\nHost: front\r\n"+tc.text)
				assert.Equal(t, tc.status, resp.StatusCode)
				assert.Equal(t, tc.want, drained(t, resp))
			}
			w.noEvent(t)
		})
	}
}

// net/http refuses what is none of its instances' faults in words alone.
func TestARequestThatCannotBeSentSpeaksAgainstNobody(t *testing.T) {
	body := func(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }
	for name, spoil := range map[string]func(*http.Request){
		"header value":        func(r *http.Request) { r.Header["X"] = []string{"a\nb"} },
		"header name":         func(r *http.Request) { r.Header["a b"] = []string{"c"} },
		"method":              func(r *http.Request) { r.Method = "A B" },
		"trailer":             func(r *http.Request) { r.Trailer = http.Header{"Content-Length": nil} },
		"trailer name":        func(r *http.Request) { r.Trailer = http.Header{"a b": nil} },
		"longer than it says": func(r *http.Request) { r.ContentLength = 2 },
	} {
		for scheme := range protocols {
			t.Run(name+" over "+scheme, func(t *testing.T) {
				w := ruled(t, allToV1, "user")
				for range 2 {
					w.provideOver(t, scheme, "user", "v1", swallow)
				}
				c := w.client(t)
				failed := 0
				for range 12 {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://user/", body("hello"))
					require.NoError(t, err)
					spoil(req)
					if resp, err := c.Do(req); err == nil {
						drained(t, resp) // it was there before more was sent than should be
					} else {
						failed++
					}
				}
				assert.Positive(t, failed)
				w.noEvent(t)
			})
		}
	}
}

func TestTrailersOfARequestGoThroughAGateway(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(rw, r.Trailer.Get("X-Sum"))
			})
			front, _ := w.frontOver(t, "http", scheme)
			const chunks = "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nX-Sum: abc\r\n\r\n"
			resp := front.raw(t, "POST /user/ HTTP/1.1\r\nHost: front\r\nTrailer: X-Sum\r\n"+chunks)
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.Equal(t, "abc", drained(t, resp))
		})
	}
}

// A handler around a gateway may have taken the body away.
func TestAGatewayForwardsWhatHasLostItsBody(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", hello)
	front, _ := w.frontOver(t, "http", "http", around(func(rw http.ResponseWriter, r *http.Request, gateway http.Handler) {
		r.Body = nil
		gateway.ServeHTTP(rw, r)
	}))
	resp := front.raw(t, "POST /user/ HTTP/1.1\r\nHost: front\r\nContent-Length: 4\r\n\r\nsome")
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode, "the length that it announces is not what it has")
	drained(t, resp)
}
