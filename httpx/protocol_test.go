package httpx_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
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

// announced waits until so many instances of "user" are registered.
func (w *world) announced(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return len(w.Instances(registry.Service{Name: "user"})) == n
	}, patience, time.Millisecond)
}

// protocols are what a server sees of a request over each scheme.
var protocols = map[string]string{"http": "HTTP/1.1", "h2c": "HTTP/2.0", "https": "HTTP/2.0"}

func TestTheSchemeIsTheProtocol(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			seen := make(chan *http.Request, 1)
			w.provideOver(t, scheme, "user", "v1", func(_ http.ResponseWriter, r *http.Request) { seen <- r })
			get(t, w.client(t), scheme+"://user/a?b=c", "x-one: 1")
			got := <-seen
			assert.Equal(t, protocols[scheme], got.Proto)
			assert.Equal(t, scheme == "https", got.TLS != nil)
			assert.Equal(t, "user", got.Host)
			assert.Equal(t, "/a?b=c", got.RequestURI)
			assert.Equal(t, "1", got.Header.Get("X-One"))
			assert.Equal(t, resolver.Outcome{Status: http.StatusOK, Version: "v1"}, w.outcome(t))
		})
	}
}

func TestTheSchemeIsTheProtocolWhateverTheCallersTransportSays(t *testing.T) {
	for scheme, proto := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			seen := make(chan string, 1)
			w.provideOver(t, scheme, "user", "v1", func(_ http.ResponseWriter, r *http.Request) { seen <- r.Proto })
			base := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: w.roots},
				Protocols:       new(http.Protocols), // none
				// As golang.org/x/net/http2 leaves it, whose connections would be those of
				// all services.
				TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{
					"h2": func(string, *tls.Conn) http.RoundTripper { return failingTrip{errors.ErrUnsupported} },
				},
			}
			get(t, w.client(t, httpx.WithTransport(base)), scheme+"://user/")
			assert.Equal(t, proto, <-seen)
		})
	}
}

func TestAnAnswerWithoutABodyEndsAtOnce(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					rw.WriteHeader(http.StatusNoContent)
				}
				rw.Header().Set("Content-Length", "5")
			})
			c := w.client(t)
			for _, method := range []string{http.MethodHead, http.MethodDelete} {
				resp := send(t.Context(), t, c, method, scheme+"://user/", http.NoBody)
				assert.Equal(t, "v1", w.outcome(t).Version, method)
				require.NoError(t, resp.Body.Close())
				w.notDone(t)
			}
		})
	}
}

func TestTrailersAndBodiesGoBothWaysAtOnce(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				ctl := http.NewResponseController(rw)
				if scheme == "http" && !assert.NoError(t, ctl.EnableFullDuplex()) {
					return
				}
				rw.Header().Set("Trailer", "X-Lines")
				assert.NoError(t, ctl.Flush())
				lines := bufio.NewReader(r.Body)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						break
					}
					_, _ = io.WriteString(rw, "echo "+line)
					assert.NoError(t, ctl.Flush())
				}
				rw.Header().Set("X-Lines", r.Trailer.Get("X-Sum"))
			})
			body, write := io.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://user/", body)
			require.NoError(t, err)
			req.Trailer = http.Header{"X-Sum": nil}
			resp, err := w.client(t).Do(req)
			require.NoError(t, err, "the answer begins before the request has ended")
			answer := bufio.NewReader(resp.Body)
			hearsEchoes(t, write, answer)
			w.notDone(t)
			req.Trailer.Set("X-Sum", "2")
			require.NoError(t, write.Close())
			_, err = answer.ReadByte()
			require.ErrorIs(t, err, io.EOF)
			assert.Equal(t, "2", resp.Trailer.Get("X-Lines"))
			require.NoError(t, w.outcome(t).Err)
			require.NoError(t, resp.Body.Close())
		})
	}
}

func TestABodyWaitsForContinueIfTheRequestAsksForIt(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/refuse" {
					rw.WriteHeader(http.StatusExpectationFailed)
					return
				}
				_, _ = io.Copy(rw, r.Body)
			})
			var opts []httpx.Option // the defaults, where they do
			if scheme == "https" {
				opts = append(opts, httpx.WithTransport(&http.Transport{
					TLSClientConfig: &tls.Config{RootCAs: w.roots}, ExpectContinueTimeout: time.Minute,
				}))
			}
			c := w.client(t, opts...)
			for path, want := range map[string]int{"/accept": http.StatusOK, "/refuse": http.StatusExpectationFailed} {
				read := &counted{Reader: strings.NewReader("content")}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://user"+path, read)
				require.NoError(t, err)
				req.Header.Set("Expect", "100-continue")
				resp, err := c.Do(req)
				require.NoError(t, err)
				assert.Equal(t, want, resp.StatusCode)
				drained(t, resp)
				assert.Equal(t, want == http.StatusOK, read.n.Load() > 0, "the body was read")
			}
		})
	}
}

// counted counts what is read.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestARedirectWithinTheServiceKeepsMethodAndBody(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			h := func(rw http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/relative":
					http.Redirect(rw, r, "/end", http.StatusTemporaryRedirect)
				case "/absolute":
					plain := strings.Replace(scheme, "h2c", "http", 1) // all that a server knows
					http.Redirect(rw, r, plain+"://"+r.Host+"/end", http.StatusPermanentRedirect)
				case "/order":
					http.Redirect(rw, r, scheme+"://order/", http.StatusTemporaryRedirect)
				default:
					_, _ = io.WriteString(rw, r.Method+" "+r.Proto+" ")
					_, _ = io.Copy(rw, r.Body)
				}
			}
			w.provideOver(t, scheme, "user", "v1", h)
			c := w.client(t)
			for _, path := range []string{"/relative", "/absolute"} {
				resp := send(t.Context(), t, c, http.MethodPut, scheme+"://user"+path, strings.NewReader("content")) //nolint:bodyclose // drained
				assert.Equal(t, "PUT "+protocols[scheme]+" content", drained(t, resp))
			}
			for range 4 {
				require.Equal(t, "v1", w.outcome(t).Version, "each hop is a request of its own")
			}
			resp := send(t.Context(), t, c, http.MethodPut, scheme+"://user/order", strings.NewReader("content"))
			drained(t, resp)
			assert.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode, "another service is the caller's to ask")
			assert.Equal(t, scheme+"://order/", resp.Header.Get("Location"))
		})
	}
}

func TestARequestOnADeadConnectionIsRepeatedIfItMayBe(t *testing.T) {
	w := newWorld(t)
	var seen atomic.Int64
	// The connection is good until it breaks under a request.
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Break") != "" && seen.Add(1) == 1 {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if assert.NoError(t, err) {
				assert.NoError(t, conn.Close())
			}
			return
		}
		_, _ = rw.Write(content)
	})
	c := w.client(t)
	tests := []struct {
		name, method, key string
		fails             bool
	}{
		{name: "a GET", method: http.MethodGet},
		{name: "a POST with a key", method: http.MethodPost, key: "k1"},
		{name: "a POST without one", method: http.MethodPost, fails: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			get(t, c, "http://user/") // only a connection that was good is worth a second try
			w.outcome(t)
			seen.Store(0)
			req, err := http.NewRequestWithContext(t.Context(), tc.method, "http://user/", strings.NewReader("content"))
			require.NoError(t, err)
			req.Header.Set("X-Break", "1")
			if tc.key != "" {
				req.Header.Set("Idempotency-Key", tc.key)
			}
			resp, err := c.Do(req)
			if tc.fails {
				require.Error(t, err)
				assert.EqualValues(t, 1, seen.Load(), "it may have had its effect")
				require.Error(t, w.outcome(t).Err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "content", drained(t, resp))
			assert.EqualValues(t, 2, seen.Load())
			require.NoError(t, w.outcome(t).Err, "one attempt for the resolver")
			w.notDone(t)
		})
	}
}

func TestAServerThatClosesIdleConnectionsFailsNoRequest(t *testing.T) {
	const pause = time.Millisecond // of server and client: some connections close under a request
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			p := w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(rw, r.Body)
			}, func(s *http.Server) { s.IdleTimeout = pause })
			c := w.client(t)
			pace := time.NewTicker(pause)
			defer pace.Stop()
			for i := range 200 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://user/", strings.NewReader("content"))
				require.NoError(t, err)
				req.Header.Set("Idempotency-Key", "k")
				resp, err := c.Do(req)
				require.NoError(t, err, "request %d", i)
				require.Equal(t, "content", drained(t, resp))
				<-pace.C
			}
			t.Logf("%d connections for 200 requests", p.opened.Load())
			assert.Greater(t, p.opened.Load(), int64(2))
		})
	}
}

func TestAnUpgradeGoesOverHTTP1WhateverTheScheme(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", echo(t))
			c := w.client(t)
			get(t, c, scheme+"://user/") // HTTP/2 is there already
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://user/", http.NoBody)
			require.NoError(t, err)
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "websocket")
			resp, err := c.Do(req) //nolint:bodyclose // it is the stream
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			stream, ok := resp.Body.(interface {
				io.ReadWriteCloser
				CloseWrite() error
			})
			require.True(t, ok)
			_, err = io.WriteString(stream, "hello\n")
			require.NoError(t, err)
			require.NoError(t, stream.CloseWrite())
			answer, err := io.ReadAll(stream)
			require.NoError(t, err)
			assert.Equal(t, "echo hello\nbye\n", string(answer), "reading goes on after the end of writing")
			require.NoError(t, stream.Close())
		})
	}
}

// echo answers an upgraded connection's lines, and says bye after the last.
func echo(t *testing.T) http.HandlerFunc {
	t.Helper()
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		conn, rwc, err := http.NewResponseController(rw).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, _ = rwc.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-App-Version: v1\r\n\r\n")
		_ = rwc.Flush()
		for {
			line, err := rwc.ReadString('\n')
			if err != nil {
				break
			}
			_, _ = rwc.WriteString("echo " + line)
			_ = rwc.Flush()
		}
		_, _ = rwc.WriteString("bye\n")
		_ = rwc.Flush()
	}
}

// load sends requests from many goroutines until it is stopped.
type load struct {
	stop chan struct{}
	sync.WaitGroup
	sent, failed atomic.Int64
}

// startLoad sends requests of so many streams, each with a pause in between. A
// POST is not idempotent: net/http does not repeat it on another connection, so
// that every lost connection shows.
func startLoad(t *testing.T, c *http.Client, streams int, pause time.Duration, url string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: make(chan struct{})}
	t.Cleanup(func() { cancel(); l.Wait() })
	for range streams {
		l.Go(func() {
			pace := time.NewTicker(pause)
			defer pace.Stop()
			for {
				select {
				case <-l.stop:
					return
				case <-ctx.Done():
					return
				case <-pace.C:
				}
				l.sent.Add(1)
				if err := fetch(ctx, c, http.MethodPost, url); err != nil && l.failed.Add(1) == 1 {
					t.Log("the first to fail:", err)
				}
			}
		})
	}
	return l
}

// more waits until n more requests were sent.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	until := l.sent.Load() + n
	require.Eventually(t, func() bool { return l.sent.Load() >= until }, patience, time.Millisecond)
}

func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.Wait()
	assert.Zero(t, l.failed.Load(), "of %d", l.sent.Load())
}

func TestOneConnectionCarriesAllRequestsToAnInstance(t *testing.T) {
	const streams = 100
	for _, scheme := range []string{"h2c", "https"} {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			var providers []*provider
			provide := func() { providers = append(providers, w.provideOver(t, scheme, "user", "v1", hello)) }
			for range 4 {
				provide()
			}
			l := startLoad(t, w.client(t), streams, time.Microsecond, scheme+"://user/")
			l.more(t, 10*streams)
			added := time.Now()
			for range 4 {
				provide()
			}
			shares, took := fairShares(t, providers, l, added)
			requireSingleConnections(t, providers)
			l.end(t)
			opened := make([]int64, len(providers))
			for i, p := range providers {
				opened[i] = p.opened.Load()
			}
			t.Logf("FIGURE %s: %d streams, 1 connection per instance after warm-up (opened in all: %v)", scheme, streams, opened)
			t.Logf("FIGURE %s: 4 instances added under load: shares %v, known %s after they came", scheme, shares, took.Round(time.Millisecond))
		})
	}
}

// fairShares waits until each provider gets its share of the load, ±10 %, and
// returns the shares and how long that took.
func fairShares(t *testing.T, providers []*provider, l *load, since time.Time) ([]int64, time.Duration) {
	t.Helper()
	before, shares := make([]int64, len(providers)), make([]int64, len(providers))
	for time.Since(since) < patience {
		for i, p := range providers {
			before[i] = p.requests.Load()
		}
		l.more(t, 2_000)
		var sum int64
		for i, p := range providers {
			shares[i] = p.requests.Load() - before[i]
			sum += shares[i]
		}
		fair := sum / int64(len(providers))
		if slices.Min(shares) >= fair*9/10 && slices.Max(shares) <= fair*11/10 {
			return shares, time.Since(since)
		}
	}
	require.Fail(t, "the shares are not fair", "%v", shares)
	return nil, 0
}

// requireSingleConnections waits until each provider has one connection.
func requireSingleConnections(t *testing.T, providers []*provider) {
	t.Helper()
	open := make([]int64, len(providers))
	require.Eventually(t, func() bool {
		single := true
		for i, p := range providers {
			open[i] = p.open()
			single = single && open[i] == 1
		}
		return single
	}, patience, time.Millisecond, "%v", open)
}
