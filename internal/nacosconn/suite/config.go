package suite

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
)

// Config runs the config center's part against the server whose HTTP API is at
// addr.
func Config(t *testing.T, addr string) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, operator, consumer *confignacos.Client, addr string)
	}{
		{"a document appears, changes and goes", docLife},
		{"a document that exists is reported at once", docExists},
		{"the last of a burst is reported last", docBurst},
		{"only one of two writers wins", docConflict},
		{"publish to fn", publishFigures},
	} {
		t.Run(c.name, func(t *testing.T) {
			operator, consumer := configClient(t, addr), configClient(t, addr)
			c.run(t, operator, consumer, addr)
		})
	}
}

func configClient(t *testing.T, addr string) *confignacos.Client {
	t.Helper()
	c, err := confignacos.New(confignacos.Config{Servers: []string{addr}},
		confignacos.WithOnError(func(id string, err error) { t.Logf("%s: %v", id, err) }))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	require.NoError(t, c.Ready(within(t)))
	return c
}

func watchDoc(t *testing.T, c *confignacos.Client, id string) *log[config.Doc] {
	t.Helper()
	return watch(t, func(ctx context.Context, fn func(config.Doc)) error { return c.Watch(ctx, id, fn) })
}

func remove(t *testing.T, addr, id string) {
	t.Helper()
	admin(t, http.MethodDelete, addr, "/nacos/v3/admin/cs/config", url.Values{"dataId": {id}, "groupName": {config.DefaultGroup}})
}

func absent(d config.Doc) bool { return d.State == config.Absent && d.MD5 == "" && len(d.Content) == 0 }

func holds(content string) func(config.Doc) bool {
	return func(d config.Doc) bool { return d.State == config.Present && string(d.Content) == content }
}

func docLife(t *testing.T, operator, consumer *confignacos.Client, addr string) {
	t.Helper()
	id := unique("life") + ".yaml"
	docs := watchDoc(t, consumer, id)
	docs.await(t, "absence", absent)
	require.NoError(t, operator.Publish(within(t), id, []byte("a: ü\n"), ""))
	got := docs.await(t, "the document", holds("a: ü\n"))
	assert.Equal(t, "da77255b442559afc6d17837f3fc5e98", got.MD5)
	require.NoError(t, operator.Publish(within(t), id, []byte("a: 2\n"), got.MD5))
	docs.await(t, "its change", holds("a: 2\n"))
	remove(t, addr, id)
	docs.await(t, "its end", absent)
	require.NoError(t, operator.Publish(within(t), id, []byte("a: 3\n"), ""))
	docs.await(t, "its return", holds("a: 3\n"))
	remove(t, addr, id)
}

func docExists(t *testing.T, operator, consumer *confignacos.Client, addr string) {
	t.Helper()
	id := unique("exists")
	require.NoError(t, operator.Publish(within(t), id, []byte("here"), ""))
	// A server may need a moment until it reads what it has just stored.
	watchDoc(t, consumer, id).await(t, "the document", holds("here"))
	watchDoc(t, consumer, id).await(t, "what is known", holds("here"))
	remove(t, addr, id)
}

func docBurst(t *testing.T, operator, consumer *confignacos.Client, addr string) {
	t.Helper()
	id := unique("burst")
	docs := watchDoc(t, consumer, id)
	docs.await(t, "absence", absent)
	for i := range 20 {
		require.NoError(t, operator.Publish(within(t), id, fmt.Append(nil, i), ""))
	}
	last := ""
	docs.await(t, "the last", func(d config.Doc) bool {
		assert.NotEqual(t, last, d.MD5, "reported twice")
		last = d.MD5
		return string(d.Content) == "19"
	})
	remove(t, addr, id)
}

func docConflict(t *testing.T, operator, consumer *confignacos.Client, addr string) {
	t.Helper()
	id := unique("conflict")
	docs := watchDoc(t, consumer, id)
	require.NoError(t, operator.Publish(within(t), id, []byte("1"), ""))
	read := docs.await(t, "the document", holds("1"))
	require.NoError(t, operator.Publish(within(t), id, []byte("2"), read.MD5))
	err := consumer.Publish(within(t), id, []byte("mine"), read.MD5)
	require.ErrorIs(t, err, config.ErrConflict)
	docs.await(t, "the winner's", holds("2"))
	remove(t, addr, id)
}

func publishFigures(t *testing.T, operator, consumer *confignacos.Client, addr string) {
	t.Helper()
	id := unique("figures")
	docs := watchDoc(t, consumer, id)
	docs.await(t, "absence", absent)
	var calls, seen, after []time.Duration
	for i := range 50 {
		start := time.Now()
		require.NoError(t, operator.Publish(within(t), id, fmt.Append(nil, i), ""))
		answered := time.Now()
		docs.await(t, "the change", holds(strconv.Itoa(i)))
		calls = append(calls, answered.Sub(start))
		seen = append(seen, time.Since(start))
		after = append(after, time.Since(answered))
	}
	figures(t, "publish to answer", calls)
	figures(t, "publish to fn", seen)
	figures(t, "publish's answer to fn", after)
	remove(t, addr, id)
}
