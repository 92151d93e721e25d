package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// consumer is a process that asks the stage's service: one HTTP client, one
// ClientConn.
type consumer struct {
	stage  *stage
	client *graylane.Client
	http   *http.Client
	conn   *grpc.ClientConn
	say    hello.HelloClient
	views  map[string]*resolver.View // by protocol
}

// ask is what rules may see of a request.
type ask struct{ version, user, lane string }

// consume starts a consumer, until the end of the test.
func (s *stage) consume(opts ...graylane.Option) *consumer {
	s.t.Helper()
	client, err := graylane.Open(s.t.Context(), append(opts, graylane.WithSlowStart(0), // shares are measured at once

		graylane.WithServers(s.nacos.addr), graylane.WithHooks(s.recorder.Hooks()))...)
	require.NoError(s.t, err)
	r := client.Resolver()
	c := &consumer{stage: s, client: client, http: httpx.NewClient(r), views: map[string]*resolver.View{}}
	c.conn, err = grpcx.NewClient(r, s.service, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	c.say = hello.NewHelloClient(c.conn)
	c.conn.Connect()
	for _, protocol := range protocols() {
		c.views[protocol], err = r.View(r.Service(s.service), protocol)
		require.NoError(s.t, err)
	}
	s.t.Cleanup(func() {
		c.http.CloseIdleConnections()
		assert.NoError(s.t, c.conn.Close())
		assert.NoError(s.t, client.Close())
	})
	return c
}

// await waits until the views of both protocols are as wanted.
func (c *consumer) await(what string, wanted func(*resolver.State) bool) {
	c.stage.t.Helper()
	for _, protocol := range protocols() {
		c.awaitOn(protocol, what, wanted)
	}
}

func (c *consumer) awaitOn(protocol, what string, wanted func(*resolver.State) bool) {
	c.stage.t.Helper()
	ctx, cancel := c.stage.within()
	defer cancel()
	require.NoError(c.stage.t, awaitState(ctx, c.views[protocol], wanted), "%s: waiting for %s", protocol, what)
}

// sees waits until the consumer knows n instances of each protocol.
func (c *consumer) sees(n int) {
	c.stage.t.Helper()
	c.await(fmt.Sprint(n, " instances"), func(st *resolver.State) bool { return st.Snapshot.Len() == n })
	c.stage.settled()
}

// follows waits until a publication is in force.
func (c *consumer) follows(p judge.Publication) {
	c.stage.t.Helper()
	c.await("the document", func(st *resolver.State) bool { return st.Revision() == p.Revision() })
}

// do makes one request, recorded, and returns the version that answered.
func (c *consumer) do(ctx context.Context, protocol string, a ask) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := judge.Request{
		ID: c.id(protocol), Protocol: protocol, Service: c.stage.service,
		User: a.user, Lane: a.lane, Method: http.MethodGet, Path: "/hello",
	}
	if a.version != "" {
		r.Headers = map[string]string{lane.HeaderVersion: a.version}
	}
	if a.user != "" {
		ctx = lane.WithUser(ctx, a.user)
	}
	if a.lane != "" {
		ctx = lane.With(ctx, a.lane)
	}
	call := c.get
	if protocol == "grpc" {
		r.Method, r.Path, call = http.MethodPost, hello.Hello_Say_FullMethodName, c.call
	}
	ctx, answered := c.stage.recorder.Begin(ctx, r)
	version, err := call(ctx, r)
	answered(version, err)
	return version, err
}

// id returns a name for one more request.
func (c *consumer) id(protocol string) string { return fmt.Sprint(protocol, "-", c.stage.ids.Add(1)) }

func (c *consumer) get(ctx context.Context, r judge.Request) (string, error) {
	_, version, err := c.fetch(ctx, r)
	return version, err
}

// fetch returns the body, and the version that the server said of itself.
func (c *consumer) fetch(ctx context.Context, r judge.Request) (body, version string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Service+r.Path, http.NoBody)
	if err != nil {
		return "", "", err
	}
	for k, v := range r.Headers {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return string(text), resp.Header.Get(httpx.VersionHeader), err
}

func (c *consumer) call(ctx context.Context, r judge.Request) (string, error) {
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(r.Headers))
	reply, err := c.say.Say(ctx, &hello.HelloRequest{})
	return reply.GetVersion(), err
}

// send makes n requests, each worker its part, as fast as they go. The judge
// hears of errors.
func (c *consumer) send(protocol string, n, workers int, of func(i int) ask) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				_, _ = c.do(c.stage.t.Context(), protocol, of(int(i)))
			}
		})
	}
	wg.Wait()
}

// steadily makes a request of each protocol every interval, on each of several
// workers, until stop is called, which waits for the last answers.
func (c *consumer) steadily(interval time.Duration, workers int, of func(i int) ask) (stop func()) {
	ctx, cancel := context.WithCancel(c.stage.t.Context())
	var wg sync.WaitGroup
	for _, protocol := range protocols() {
		for w := range workers {
			wg.Go(func() {
				tick := time.NewTicker(interval)
				defer tick.Stop()
				for i := w; ; i += workers {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						_, _ = c.do(context.WithoutCancel(ctx), protocol, of(i))
					}
				}
			})
		}
	}
	return func() { cancel(); wg.Wait() }
}

// anyone is the request of somebody unknown.
func anyone(int) ask { return ask{} }
