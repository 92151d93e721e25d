package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/httpx/debug"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// consumer is a process that sends steady traffic: one HTTP client, one gRPC
// ClientConn.
type consumer struct {
	client   *graylane.Client
	page     *debug.Page
	http     *http.Client
	conn     *grpc.ClientConn
	say      hello.HelloClient
	recorder *judge.Recorder
	stop     func() // ends the traffic and waits
	close    func()
}

// workers send the requests of each protocol, one every pause.
const (
	workers = 4
	pause   = 8 * time.Millisecond
	users   = 1000
)

// A request of each kind in turn.
const (
	plain = iota
	asking
	viaOrder
	kinds
)

func startConsumer(ctx context.Context, s *stage) (*consumer, error) {
	complain := resolver.Hooks{OnError: func(_ registry.Service, err error) {
		if errors.Is(err, resolver.ErrSeveralVersions) {
			return // as step 1 shows: there are no rules yet
		}
		fmt.Printf("\n!  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n   "))
	}}
	c := &consumer{recorder: s.recorder}
	c.page = debug.New(debug.WithSettings(func() []debug.Setting { return c.client.Settings() }))
	client, err := graylane.Open(ctx, graylane.WithServers(s.addr), graylane.WithCacheDir("off"),
		graylane.WithHooks(s.recorder.Hooks()), graylane.WithHooks(c.page.Hooks()), graylane.WithHooks(complain))
	if err != nil {
		return nil, err
	}
	c.client, c.http = client, httpx.NewClient(client.Resolver())
	c.conn, err = grpcx.NewClient(client.Resolver(), userService, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	c.say = hello.NewHelloClient(c.conn)

	traffic, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	c.stop = func() { cancel(); wg.Wait() }
	c.close = func() {
		c.stop()
		c.http.CloseIdleConnections()
		_ = c.conn.Close()
		_ = client.Close()
	}
	if err := c.follow(ctx, "", 4); err != nil {
		c.close()
		return nil, err
	}
	for i := range workers {
		wg.Go(func() { c.send(traffic, "http", i) })
		wg.Go(func() { c.send(traffic, "grpc", i) })
	}
	return c, nil
}

// send sends requests at a steady pace until ctx ends. The last request is
// answered, not cut off.
func (c *consumer) send(ctx context.Context, protocol string, worker int) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := worker; ; i += workers {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.request(context.WithoutCancel(ctx), protocol, i)
	}
}

// request makes request number i of a protocol, and records it.
func (c *consumer) request(ctx context.Context, protocol string, i int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r := judge.Request{ID: fmt.Sprint(protocol, "-", i), Protocol: protocol, Service: userService}
	r.User = fmt.Sprint("user-", i*7%users)
	ctx = lane.WithUser(ctx, r.User)
	kind := i % kinds
	if protocol == "grpc" && kind == viaOrder {
		kind = plain
	}
	switch kind {
	case asking:
		r.Headers = map[string]string{lane.HeaderVersion: "v2"}
		ctx = lane.WithHeader(ctx, lane.HeaderVersion, "v2")
	case viaOrder:
		r.Service, r.Lane = orderService, laneName
		ctx = lane.With(ctx, laneName)
	}
	if protocol == "grpc" {
		r.Method, r.Path = http.MethodPost, hello.Hello_Say_FullMethodName
		ctx, answered := c.recorder.Begin(ctx, r)
		reply, err := c.say.Say(ctx, &hello.HelloRequest{Name: r.User})
		answered(reply.GetVersion(), err)
		return
	}
	r.Method, r.Path = http.MethodGet, "/hello"
	ctx, answered := c.recorder.Begin(ctx, r)
	answered(c.get(ctx, "http://"+r.Service+r.Path))
}

// get returns the version that answered.
func (c *consumer) get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Header.Get(httpx.VersionHeader), nil
}

// follow waits until both protocols see so many instances of the user service
// and the given revision of its rules; "" for any.
func (c *consumer) follow(ctx context.Context, revision string, instances int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, protocol := range []string{"http", "grpc"} {
		err := c.await(ctx, userService, protocol, func(s *resolver.State) bool {
			return s.Snapshot.Len() == instances && (revision == "" || s.Revision() == revision)
		})
		if err != nil {
			return fmt.Errorf("%s: waiting for %d instances and rules %q: %w", protocol, instances, revision, err)
		}
	}
	// Who calls the order service must know it.
	if err := c.await(ctx, orderService, "http", func(s *resolver.State) bool { return s.Snapshot.Len() > 0 }); err != nil {
		return fmt.Errorf("waiting for %s: %w", orderService, err)
	}
	return nil
}

// await waits until the view of a service is as wanted.
func (c *consumer) await(ctx context.Context, service, protocol string, wanted func(*resolver.State) bool) error {
	view, err := c.client.Resolver().View(c.client.Resolver().Service(service), protocol)
	if err != nil {
		return err
	}
	defer view.Close()
	reached := errors.New("reached")
	ctx, done := context.WithCancelCause(ctx)
	err = view.Watch(ctx, func(s *resolver.State) {
		if wanted(s) {
			done(reached)
		}
	})
	if errors.Is(err, reached) {
		return nil
	}
	return err
}

// attempts returns what was logged of requests to the user service since a time.
func (c *consumer) attempts(from int64) []judge.Attempt {
	all, _ := c.recorder.Log() // requests are under way, of course
	var log []judge.Attempt
	for _, a := range all {
		if a.Service == userService && a.Begin >= from && a.Last {
			log = append(log, a)
		}
	}
	return log
}
