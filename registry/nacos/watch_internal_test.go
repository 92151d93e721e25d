package nacos

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

func list(ips ...string) nacosconn.ServiceInfo {
	info := nacosconn.ServiceInfo{Hosts: []nacosconn.Host{}}
	for _, ip := range ips {
		info.Hosts = append(info.Hosts, nacosconn.Host{IP: ip, Port: 80, Weight: 1, Healthy: true, Enabled: true})
	}
	return info
}

func TestAnswersNeverOverruleANewerPush(t *testing.T) {
	topic := make(chan *watched)
	topics := nacosconn.NewTopics(func(ctx context.Context, _ registry.Service, w *watched) {
		topic <- w
		<-ctx.Done()
	})
	defer topics.Close()
	updates := make(chan registry.Update, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- topics.Watch(t.Context(), registry.Service{}, func(u registry.Update) { updates <- u })
	}()
	f := &follower{client: &Client{}, watched: <-topic}

	answer := func(during func(), info nacosconn.ServiceInfo) func(context.Context, string, string) (nacosconn.ServiceInfo, error) {
		return func(context.Context, string, string) (nacosconn.ServiceInfo, error) {
			during()
			return info, nil
		}
	}
	next := func() registry.Update {
		select {
		case u := <-updates:
			return u
		case <-time.After(10 * time.Second):
			require.FailNow(t, "no update")
			return registry.Update{}
		}
	}
	require.NoError(t, f.ask(t.Context(), answer(func() { f.watched.Put(list("10.0.0.2")) }, list("10.0.0.1"))))
	f.takePushed()
	u := next()
	assert.Equal(t, registry.Pushed, u.Origin)
	assert.Equal(t, "10.0.0.2:80", u.Instances[0].Addr)

	f.watched.Put(list("10.0.0.3"))
	require.NoError(t, f.ask(t.Context(), answer(func() { assert.Equal(t, "10.0.0.3:80", next().Instances[0].Addr) }, list())))
	u = next()
	assert.Equal(t, registry.Reconciled, u.Origin, "an answer that was asked for after the push counts")
	assert.Empty(t, u.Instances)
	assert.Empty(t, updates)
}

func TestInstanceThatTheServerForgotIsAnnouncedAgain(t *testing.T) {
	srv := nacostest.Run(t)
	c, err := New(Config{Servers: []string{srv.Addr()}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	require.NoError(t, c.Ready(t.Context()))
	conn, _ := c.session.Current()

	s, err := c.service(registry.Service{Name: "user"})
	require.NoError(t, err)
	p := newPublication(c, s)
	off := registry.NewInstance("10.0.0.2:80")
	off.Enabled = false
	_, err = p.add(off)
	require.NoError(t, err)
	p.outcome(conn, p.revision, nil)
	p.verify(t.Context(), conn)
	assert.True(t, p.holds(p.revision), "what is disabled is never listed")

	r, err := p.add(registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)
	p.outcome(conn, p.revision, nil)
	assert.Equal(t, registry.Registered, r.State())
	p.verify(t.Context(), conn)
	assert.Equal(t, registry.Pending, r.State())

	srv.Register(s, nacostest.NewInstance("10.0.0.1", 80, nil))
	p.outcome(conn, p.revision, nil)
	p.verify(t.Context(), conn)
	assert.Equal(t, registry.Registered, r.State())
}

func TestInstanceThatAnOperatorDisabledIsSentAgainOnce(t *testing.T) {
	srv := nacostest.Run(t)
	c, err := New(Config{Servers: []string{srv.Addr()}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	s, err := c.service(registry.Service{Name: "user"})
	require.NoError(t, err)
	p := newPublication(c, s)
	r, err := p.add(registry.NewInstance("10.0.0.1:80"))
	require.NoError(t, err)

	// sent counts how often the set is sent in ten looks at the list.
	sent := func(conn *nacosconn.Conn) int {
		n := 0
		for range 10 {
			if set, revision, behind := p.desired(conn); behind {
				require.NoError(t, conn.Register(t.Context(), s.Group, s.Name, set))
				p.outcome(conn, revision, nil)
				n++
			}
			p.verify(t.Context(), conn)
		}
		return n
	}
	operator := func(enabled bool) {
		in := nacostest.NewInstance("10.0.0.1", 80, nil)
		in.Enabled = enabled
		require.True(t, srv.Edit(s, in))
	}
	conn, err := c.session.Conn(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, sent(conn), "it is listed")
	operator(false)
	assert.Equal(t, 1, sent(conn))
	assert.Equal(t, registry.Registered, r.State())
	operator(true)
	assert.Zero(t, sent(conn))
	operator(false)
	assert.Equal(t, 1, sent(conn), "it was listed in between")

	p.mu.Lock()
	r.since = p.desire()
	p.mu.Unlock()
	assert.Equal(t, 2, sent(conn), "it is another one now")

	require.True(t, srv.Disconnect(srv.Connections()[0].ID))
	<-conn.Lost()
	conn, err = c.session.Conn(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, sent(conn), "the connection is another one")
	assert.Equal(t, registry.Registered, r.State())
}
