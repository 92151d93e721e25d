package nacos

import (
	"context"
	"errors"
	"time"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

const (
	// reconcileEvery is how often, give or take a fifth, a watched list is read
	// again, to find what a push may have missed.
	reconcileEvery = 10 * time.Second
	// goodbye bounds the request that ends a subscription.
	goodbye = time.Second
)

// watches are the services that somebody watches; each has one goroutine, which
// takes pushes and asks for lists.
type (
	watches = nacosconn.Topics[registry.Service, nacosconn.ServiceInfo, registry.Update]
	watched = nacosconn.Topic[nacosconn.ServiceInfo, registry.Update]
)

// Watch implements [registry.Watcher]. Equal lists are reported once. After Close
// it returns [registry.ErrClosed].
func (c *Client) Watch(ctx context.Context, s registry.Service, fn func(registry.Update)) error {
	s, err := c.service(s)
	if err != nil {
		return err
	}
	return closed(c.watches.Watch(ctx, s, func(u registry.Update) {
		u.Instances = cloned(u.Instances)
		fn(u)
	}))
}

// Synced returns when Nacos said last that the list that watchers of s have is the
// one that it holds: by a push, or by an answer, which is asked for every 10 s, give
// or take 2, and may be 0.6 s behind. False if nobody watches s, or no list has come
// yet. It is cheap.
func (c *Client) Synced(s registry.Service) (time.Time, bool) {
	s, err := c.service(s)
	if err != nil {
		return time.Time{}, false
	}
	return c.watches.Confirmed(s)
}

// pushed takes a list that the server has sent.
func (c *Client) pushed(info nacosconn.ServiceInfo) {
	s := registry.Service{Namespace: c.namespace, Group: info.GroupName, Name: info.Name}
	if w := c.watches.Find(s); w != nil {
		w.Put(info)
	}
}

// follower is what one run of a watch knows.
type follower struct {
	client  *Client
	service registry.Service
	watched *watched
	last    *registry.Snapshot // what was published; nil: nothing
	told    string             // what was reported of the last list
	near    bool               // the server is on this machine's loopback interface
	backoff nacosconn.Backoff
}

// follow is the goroutine of one watched service.
func (c *Client) follow(ctx context.Context, s registry.Service, w *watched) {
	f := &follower{client: c, service: s, watched: w}
	for ctx.Err() == nil {
		conn, err := c.session.Conn(ctx)
		if err != nil {
			return
		}
		if f.subscribe(ctx, conn) {
			f.stay(ctx, conn)
		}
		if ctx.Err() != nil {
			f.unsubscribe(conn)
		}
	}
}

// subscribe asks for pushes until the server agrees; false if the connection was
// lost or ctx ended.
func (f *follower) subscribe(ctx context.Context, conn *nacosconn.Conn) bool {
	f.takePushed() // of the last connection: older than the answer will be
	f.near = conn.Loopback()
	for {
		if !nacosconn.Pause(ctx, conn.Lost(), f.turn(conn)) {
			return false
		}
		err := f.ask(ctx, conn.Subscribe)
		if err == nil {
			f.backoff.Reset()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		f.client.report(f.service, err)
		if !nacosconn.Pause(ctx, conn.Lost(), f.backoff.Next()) {
			return false
		}
	}
}

// turn is how long to wait before asking for the list.
func (f *follower) turn(conn *nacosconn.Conn) time.Duration {
	if f.last == nil {
		return conn.UrgentTurn()
	}
	return conn.Turn()
}

// stay takes pushes, and reads the list now and then, as long as the connection
// lives.
func (f *follower) stay(ctx context.Context, conn *nacosconn.Conn) {
	again := time.NewTimer(nacosconn.Jitter(reconcileEvery))
	defer again.Stop()
	due := false // it is time, and our turn comes when again fires
	for {
		select {
		case <-ctx.Done():
			return
		case <-conn.Lost():
			return
		case info := <-f.watched.In():
			f.publish(info, registry.Pushed)
		case <-again.C:
			if !due {
				due = true
				again.Reset(f.turn(conn))
				continue
			}
			due = false
			again.Reset(f.reconcile(ctx, conn))
		}
	}
}

// reconcile reads the list and returns when to do so again: soon, if it failed.
func (f *follower) reconcile(ctx context.Context, conn *nacosconn.Conn) time.Duration {
	err := f.ask(ctx, conn.Query)
	if err == nil {
		f.backoff.Reset()
		return nacosconn.Jitter(reconcileEvery)
	}
	if ctx.Err() == nil {
		f.client.report(f.service, err)
	}
	return f.backoff.Next()
}

// unsubscribe ends the subscription, but for the end of the client: the connection ends
// too then.
func (f *follower) unsubscribe(conn *nacosconn.Conn) {
	goodbye, cancel := context.WithTimeout(f.client.life, goodbye)
	defer cancel()
	if err := conn.Unsubscribe(goodbye, f.service.Group, f.service.Name); err != nil && f.client.life.Err() == nil {
		f.client.report(f.service, err)
	}
}

// ask reads the list. Answers come from a cache of the server that lags a change
// by 0.6 s: one that was asked for before the last push is dropped.
func (f *follower) ask(
	ctx context.Context, request func(ctx context.Context, group, service string) (nacosconn.ServiceInfo, error),
) error {
	f.takePushed()
	pushes := f.watched.Puts()
	info, err := request(ctx, f.service.Group, f.service.Name)
	if err == nil && f.watched.Puts() == pushes {
		f.publish(info, registry.Reconciled)
	}
	return err
}

// tell reports what is wrong with a list, unless it is the same as last time.
func (f *follower) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if err != nil && text != f.told {
		f.client.report(f.service, err)
	}
	f.told = text
}

func (f *follower) takePushed() {
	select {
	case info := <-f.watched.In():
		f.publish(info, registry.Pushed)
	default:
	}
}

// publish converts a list and hands it on, unless it is the last one again.
func (f *follower) publish(info nacosconn.ServiceInfo, from registry.Origin) {
	list, err := instances(info.Hosts, f.near)
	f.tell(err)
	next := registry.NewSnapshot(f.service, 0, list)
	if f.last != nil && f.last.SameInstances(next) {
		f.watched.Confirm()
		return
	}
	f.last = next
	f.watched.Publish(registry.Update{Instances: list, Origin: from, At: time.Now()})
}

// closed replaces the session's error by the registry's.
func closed(err error) error {
	if errors.Is(err, nacosconn.ErrClosed) {
		return registry.ErrClosed
	}
	return err
}
