package httpx_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

// requireEnd checks that the server ends a connection.
func requireEnd(t *testing.T, conn io.Reader) {
	t.Helper()
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is left")
}

// final returns the first answer that is not provisional.
func final(t *testing.T, answers *bufio.Reader) *http.Response {
	t.Helper()
	for {
		resp, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		if resp.StatusCode >= http.StatusOK {
			return resp
		}
		drained(t, resp)
	}
}

// A service that refuses an upload by its headers need not read it.
func TestAGatewayPassesARefusalOnBeforeTheRequestHasCome(t *testing.T) {
	for scheme := range protocols {
		for _, head := range []string{"", "Expect: 100-continue\r\n"} {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, expect %t, chunked %t", scheme, head != "", chunked), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
						assert.NoError(t, http.NewResponseController(rw).EnableFullDuplex())
						if !chunked {
							rw.Header().Set("Content-Length", "2")
						}
						rw.WriteHeader(http.StatusRequestEntityTooLarge)
						_, _ = io.WriteString(rw, "no")
						if chunked {
							assert.NoError(t, http.NewResponseController(rw).Flush())
						}
					})
					front, logged := w.frontOver(t, "http", scheme)
					conn := front.dial(t)
					_, err := io.WriteString(conn, "POST /user/ HTTP/1.1\r\nHost: front\r\nContent-Length: 1000\r\n"+head+"\r\n")
					require.NoError(t, err)
					answer := bufio.NewReader(conn)
					resp := final(t, answer)
					assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
					assert.Equal(t, "no", drained(t, resp))
					requireEnd(t, answer)
					assert.Empty(t, logged.String())
				})
			}
		}
	}
}

func TestAGatewayPassesARefusalOnToACallerOverHTTP2(t *testing.T) {
	for scheme := range protocols {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			w.provideOver(t, scheme, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
				assert.NoError(t, http.NewResponseController(rw).EnableFullDuplex())
				http.Error(rw, "no", http.StatusUnauthorized)
			})
			w.frontOver(t, "h2c", scheme)
			body, write := io.Pipe()
			go func() { _, _ = io.WriteString(write, "some") }()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			resp := send(ctx, t, w.client(t), http.MethodPost, "h2c://front/user/", body)
			assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			assert.Equal(t, "no\n", drained(t, resp))
			require.NoError(t, write.Close())
		})
	}
}

// A service dies in the middle of its answer, and the caller in the middle of the request.
func TestAnAnswerThatBreaksOffEnds(t *testing.T) {
	for name, rest := range map[string]string{
		"length": "Content-Length: 1000\r\n\r\nsome\n",
		"chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\nsome\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			die := make(chan struct{})
			go func() {
				conn, err := ln.Accept()
				assert.NoError(t, err)
				assert.NoError(t, ln.Close())
				_, err = http.ReadRequest(bufio.NewReader(conn))
				assert.NoError(t, err)
				_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\necho\n\r\n")
				assert.NoError(t, err)
				<-die
				assert.NoError(t, conn.Close())
			}()
			w := newWorld(t)
			w.Set(registry.Service{Name: "user"}, registry.NewInstance(ln.Addr().String()))
			front, _ := w.frontOver(t, "http", "http")
			resp := front.raw(t, "POST /user/ HTTP/1.1\r\nHost: front\r\n"+rest)
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			line := make([]byte, 5)
			_, err = io.ReadFull(resp.Body, line)
			require.NoError(t, err)
			assert.Equal(t, "echo\n", string(line))
			close(die)
			_, err = io.ReadAll(resp.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			_ = resp.Body.Close() // which says it again
		})
	}
}

func TestTrailersAfterABodyOfKnownLength(t *testing.T) {
	for _, length := range []int64{-1, 4} {
		w := newWorld(t)
		w.provideOver(t, "h2c", "user", "v1", func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(rw, r.Trailer.Get("X-Sum"))
		})
		w.frontOver(t, "h2c", "h2c")
		body := struct{ io.Reader }{strings.NewReader("some")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "h2c://front/user/", body)
		require.NoError(t, err)
		req.ContentLength = length
		req.Trailer = http.Header{"X-Sum": {"abc"}}
		resp, err := w.client(t).Do(req)
		require.NoError(t, err)
		assert.Equal(t, "abc", drained(t, resp), "length %d", length)
	}
}

// A handler around the gateway may have changed the body, and not the length.
func TestABodyThatIsLongerThanItsLengthIsNotCutOff(t *testing.T) {
	for scheme := range protocols {
		if scheme == "https" {
			continue // as h2c
		}
		w := newWorld(t)
		w.provideOver(t, scheme, "user", "v1", hello)
		front, _ := w.frontOver(t, "http", scheme, around(func(rw http.ResponseWriter, r *http.Request, gateway http.Handler) {
			r.Body = io.NopCloser(io.MultiReader(r.Body, strings.NewReader(" and more")))
			gateway.ServeHTTP(rw, r)
		}))
		resp := front.raw(t, "POST /user/ HTTP/1.1\r\nHost: front\r\nContent-Length: 4\r\n\r\nsome")
		assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
		drained(t, resp)
	}
}

func TestAProvisionalAnswerTakesNoHeadersAway(t *testing.T) {
	w := newWorld(t)
	w.provide(t, "user", "v1", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</a>")
		rw.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(rw, "hi")
	})
	w.Set(registry.Service{Name: "order"}, registry.NewInstance("127.0.0.1:1"))
	front, _ := w.frontOver(t, "http", "http", around(func(rw http.ResponseWriter, r *http.Request, gateway http.Handler) {
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		gateway.ServeHTTP(rw, r)
	}))
	for _, text := range []string{
		"GET /user/ HTTP/1.1\r\nHost: front\r\n\r\n",
		"POST /user/ HTTP/1.1\r\nHost: front\r\nContent-Length: 4\r\n\r\nsome",
		"GET /order/ HTTP/1.1\r\nHost: front\r\n\r\n",
	} {
		conn := front.dial(t)
		_, err := io.WriteString(conn, text)
		require.NoError(t, err)
		resp := final(t, bufio.NewReader(conn))
		assert.Equal(t, []string{"*"}, resp.Header["Access-Control-Allow-Origin"], "%q: %s", text, resp.Status)
		drained(t, resp)
	}
}

// Whoever ends a request with a reason finds it, whatever the protocol and the body.
func TestTheErrorOfARequestThatWasCancelledIsTheReason(t *testing.T) {
	for scheme := range protocols {
		for name, body := range map[string]io.Reader{
			"none": http.NoBody, "known": strings.NewReader("some"), "once": struct{ io.Reader }{strings.NewReader("some")},
		} {
			w := newWorld(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			w.provideOver(t, scheme, "user", "v1", func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				cancel(enough)
				<-r.Context().Done()
			})
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://user/", body)
			require.NoError(t, err)
			require.ErrorIs(t, errorOf(t, w.client(t), req), enough, "%s, body %s", scheme, name)
			w.noEvent(t)
		}
	}
}

// That a handler around the gateway ends a request is no ReadTimeout of its caller.
func TestARequestThatIsCancelledWhileItIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	begun := make(chan struct{})
	w.provide(t, "user", "v1", func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	front, _ := w.frontOver(t, "http", "http", around(func(rw http.ResponseWriter, r *http.Request, gateway http.Handler) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		go func() {
			<-begun
			cancel()
		}()
		gateway.ServeHTTP(rw, r.WithContext(ctx))
	}))
	resp := front.raw(t, "POST /user/ HTTP/1.1\r\nHost: front\r\nContent-Length: 100\r\n\r\nsome")
	assert.Equal(t, 499, resp.StatusCode)
	drained(t, resp)
}
