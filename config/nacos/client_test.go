package nacos_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/nacostest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	id       = "gray.user.yaml"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// failures collects what OnError is told.
type failures struct {
	mu   sync.Mutex
	text string
}

func (f *failures) add(dataID string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text += dataID + ": " + err.Error() + "\n"
}

func (f *failures) count(part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Count(f.text, part)
}

func newClient(t *testing.T, addr string) (*confignacos.Client, *failures) {
	t.Helper()
	f := &failures{}
	c, err := confignacos.New(confignacos.Config{Servers: []string{addr}}, confignacos.WithOnError(f.add))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, f
}

// watch reports a document until the test ends.
func watch(t *testing.T, c *confignacos.Client, dataID string) <-chan config.Doc {
	t.Helper()
	docs := make(chan config.Doc, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { assert.Error(t, c.Watch(ctx, dataID, func(d config.Doc) { docs <- d })) })
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return docs
}

func next(t *testing.T, docs <-chan config.Doc, d time.Duration) string {
	t.Helper()
	select {
	case doc := <-docs:
		return []string{config.Absent: "absent", config.Present: "present"}[doc.State] + " " + string(doc.Content)
	case <-time.After(d):
		require.FailNow(t, "nothing reported")
		return ""
	}
}

func drop(typ string) func(nacostest.Request) nacostest.Action {
	return func(r nacostest.Request) nacostest.Action {
		if r.Type == typ {
			return nacostest.Drop()
		}
		return nacostest.Pass()
	}
}

func TestConfigOptionsAndNamesAreChecked(t *testing.T) {
	_, err := confignacos.New(confignacos.Config{}, confignacos.WithGroup("a b"))
	require.ErrorContains(t, err, "nacos servers: want 1 to 64")
	require.ErrorContains(t, err, "\nnacos: invalid: group \"a b\" has ' '")
	_, err = confignacos.New(confignacos.Config{Servers: []string{"127.0.0.1:1"}}, confignacos.WithGroup(""))
	require.ErrorIs(t, err, confignacos.ErrInvalid)

	c, _ := newClient(t, "127.0.0.1:1")
	for dataID, want := range map[string]string{
		"":                       "want 1 to 255 characters",
		"a/b":                    "'/'",
		strings.Repeat("x", 256): "want 1 to 255 characters",
		"cipher-kms-aes-256-x":   "encrypts",
	} {
		err := c.Watch(t.Context(), dataID, func(config.Doc) { assert.Fail(t, "called") })
		require.ErrorIs(t, err, confignacos.ErrInvalid)
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, c.Publish(t.Context(), dataID, []byte("x"), ""), confignacos.ErrInvalid)
	}
	require.ErrorContains(t, c.Publish(t.Context(), id, nil, ""), "without content")
}

func TestClientIsNotReadyWithoutAServer(t *testing.T) {
	c, f := newClient(t, "127.0.0.1:1")
	require.Eventually(t, func() bool { return f.count("127.0.0.1:1001: connection refused") == 1 }, patience, time.Millisecond)
	require.ErrorContains(t, c.Ready(within(t, time.Millisecond)),
		"nacos 127.0.0.1:1001: connection refused (gRPC port = HTTP port + 1000)")
	require.EqualError(t, c.Reason(), "nacos 127.0.0.1:1001: connection refused (gRPC port = HTTP port + 1000)")
	require.ErrorContains(t, c.Publish(within(t, time.Millisecond), id, []byte("x"), ""), "connection refused")
	_, ok := c.LocalAddr()
	assert.False(t, ok)
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Ready(t.Context()), confignacos.ErrClosed)
	require.ErrorIs(t, c.Watch(t.Context(), id, func(config.Doc) {}), confignacos.ErrClosed)
	require.ErrorIs(t, c.Publish(t.Context(), id, []byte("x"), ""), confignacos.ErrClosed)
}

func TestConnectedClientHasNoReasonNotToBe(t *testing.T) {
	c, _ := newClient(t, nacostest.Run(t).Addr())
	require.NoError(t, c.Ready(within(t, patience)))
	require.NoError(t, c.Reason())
}

func TestPlainServerIsNotTakenForTLS(t *testing.T) {
	srv := nacostest.Run(t)
	f := &failures{}
	c, err := confignacos.New(confignacos.Config{Servers: []string{srv.Addr()}, TLS: &tls.Config{MinVersion: tls.VersionTLS13}}, confignacos.WithOnError(f.add))
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	require.Eventually(t, func() bool { return f.count("tls: first record does not look like a TLS handshake") == 1 }, patience, time.Millisecond)
}

func TestDocumentIsFollowedOverARestart(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	srv.Publish(config.DefaultGroup, id, "1")
	docs := watch(t, c, id)
	assert.Equal(t, "present 1", next(t, docs, patience))
	require.NoError(t, srv.Restart(nacostest.KeepData))
	require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, id) == 1 }, patience, time.Millisecond)
	srv.Publish(config.DefaultGroup, id, "2")
	assert.Equal(t, "present 2", next(t, docs, patience), "and not 1 again")

	srv.Stop()
	srv.Publish(config.DefaultGroup, id, "3")
	require.NoError(t, srv.Restart(nacostest.KeepData))
	assert.Equal(t, "present 3", next(t, docs, patience), "changed while we were away")
	require.NoError(t, srv.Restart(nacostest.WipeData))
	assert.Equal(t, "absent ", next(t, docs, patience))
	assert.Empty(t, docs)
}

func TestWatchStartedWithoutAServerBeginsWithIt(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Publish(config.DefaultGroup, id, "1")
	srv.Stop()
	c, _ := newClient(t, srv.Addr())
	docs := watch(t, c, id)
	require.NoError(t, srv.Restart(nacostest.KeepData))
	assert.Equal(t, "present 1", next(t, docs, patience))
}

func TestLostNotificationIsFoundByComparing(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	docs := watch(t, c, id)
	assert.Equal(t, "absent ", next(t, docs, patience))
	require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, id) == 1 }, patience, time.Millisecond)
	srv.Intercept(drop("ConfigChangeNotifyRequest"))
	srv.Publish(config.DefaultGroup, id, "1")
	assert.Equal(t, "present 1", next(t, docs, 20*time.Second))
}

func TestNotificationDuringAReadIsReadAgain(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	docs := watch(t, c, id)
	assert.Equal(t, "absent ", next(t, docs, patience))
	require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, id) == 1 }, patience, time.Millisecond)
	for i := range 200 {
		srv.Publish(config.DefaultGroup, id, strconv.Itoa(i))
	}
	last := ""
	for last != "present 199" {
		now := next(t, docs, patience)
		require.NotEqual(t, last, now, "reported twice")
		last = now
	}
	assert.Empty(t, docs)
}

func TestChangeThatIsTakenBackIsNotReported(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	srv.Publish(config.DefaultGroup, id, "1")
	docs := watch(t, c, id)
	assert.Equal(t, "present 1", next(t, docs, patience))
	require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, id) == 1 }, patience, time.Millisecond)
	read, held := make(chan struct{}, 10), make(chan struct{})
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type != "ConfigQueryRequest" {
			return nacostest.Pass()
		}
		read <- struct{}{}
		<-held // a delay might end before the publish
		return nacostest.Pass()
	})
	srv.Publish(config.DefaultGroup, id, "2")
	<-read                                    // is held up, until
	srv.Publish(config.DefaultGroup, id, "1") // it is 1 again
	held <- struct{}{}
	<-read
	srv.Publish(config.DefaultGroup, id, "3")
	close(held)
	assert.Equal(t, "present 3", next(t, docs, patience))
}

func TestRefusedReadIsRepeated(t *testing.T) {
	srv := nacostest.Run(t)
	var reads atomic.Int64
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		switch {
		case r.Type != "ConfigQueryRequest":
			return nacostest.Pass()
		case reads.Add(1) == 1:
			return nacostest.Refuse(400, "being modified")
		case reads.Load() == 2:
			return nacostest.Fail(300, "starting") // not "no such document"
		}
		return nacostest.Pass()
	})
	srv.Publish(config.DefaultGroup, id, "1")
	c, f := newClient(t, srv.Addr())
	assert.Equal(t, "present 1", next(t, watch(t, c, id), patience))
	assert.Equal(t, 1, f.count("being modified"))
	assert.Equal(t, 1, f.count("starting"))
}

func TestWatchersShareADocumentAndTheLastOneEndsTheListening(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	for range 2 {
		t.Run("watch", func(t *testing.T) {
			a, b := watch(t, c, id), watch(t, c, id)
			next(t, a, patience)
			next(t, b, patience)
			require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, id) == 1 }, patience, time.Millisecond)
		})
		require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, id) == 0 }, patience, time.Millisecond)
	}
}

func TestManyDocumentsAreListenedToInOneRequest(t *testing.T) {
	srv := nacostest.Run(t)
	var listens atomic.Int64
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ConfigBatchListenRequest" {
			listens.Add(1)
		}
		return nacostest.Pass()
	})
	c, _ := newClient(t, srv.Addr())
	const n = 600
	last := ""
	for i := range n {
		last = fmt.Sprintf("doc-%d", i)
		next(t, watch(t, c, last), patience)
	}
	require.NoError(t, srv.Restart(nacostest.KeepData))
	before := listens.Load()
	require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, last) == 1 }, patience, time.Millisecond)
	for i := range n {
		require.Eventually(t, func() bool { return srv.Listeners(config.DefaultGroup, fmt.Sprintf("doc-%d", i)) == 1 }, patience, time.Millisecond)
	}
	assert.LessOrEqual(t, listens.Load()-before, int64(4))
}

func TestPublishIsComparedAndSwapped(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	require.NoError(t, c.Publish(t.Context(), id, []byte("1"), ""))
	one := srv.Publish(config.DefaultGroup, id, "1")
	require.NoError(t, c.Publish(t.Context(), id, []byte("2"), one))
	err := c.Publish(t.Context(), id, []byte("3"), one)
	require.ErrorIs(t, err, config.ErrConflict)
	content, ok := srv.Config(config.DefaultGroup, id)
	assert.True(t, ok)
	assert.Equal(t, "2", content)
}

func TestRefusalForAnotherReasonIsNoConflict(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	one := srv.Publish(config.DefaultGroup, id, "1")
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ConfigPublishRequest" {
			return nacostest.Refuse(500, "disk full")
		}
		return nacostest.Pass()
	})
	err := c.Publish(t.Context(), id, []byte("2"), one)
	require.ErrorContains(t, err, "disk full")
	require.NotErrorIs(t, err, config.ErrConflict)
}

func TestGroupAndNamespaceSeparateDocuments(t *testing.T) {
	srv := nacostest.Run(t)
	srv.Publish("G2", id, "of G2")
	srv.Publish(config.DefaultGroup, id, "of GRAY")
	other, err := confignacos.New(confignacos.Config{Servers: []string{srv.Addr()}}, confignacos.WithGroup("G2"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, other.Close()) })
	dev, err := confignacos.New(confignacos.Config{Servers: []string{srv.Addr()}, Namespace: "dev"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, dev.Close()) })
	assert.Equal(t, "present of G2", next(t, watch(t, other, id), patience))
	assert.Equal(t, "absent ", next(t, watch(t, dev, id), patience))
	require.NoError(t, dev.Publish(t.Context(), id, []byte("of dev"), ""))
	content, _ := srv.Config(config.DefaultGroup, id)
	assert.Equal(t, "of GRAY", content)
}

func TestCloseWithAHungServerIsQuick(t *testing.T) {
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	next(t, watch(t, c, id), patience)
	srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() })
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(context.WithoutCancel(t.Context()), "other", func(config.Doc) {}) }()
	start := time.Now()
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	assert.Less(t, time.Since(start), time.Second)
	require.ErrorIs(t, <-ended, confignacos.ErrClosed)
}
