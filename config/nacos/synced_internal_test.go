package nacos

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/nacosconn"
)

func TestDocumentThatCouldNotBeUsedIsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{watches: nacosconn.NewTopics(func(ctx context.Context, _ string, w *watched) {
			w.Publish(config.NewDoc([]byte("old")))
			<-ctx.Done()
		})}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = c.Watch(ctx, "d", func(config.Doc) {}) }()
		synctest.Wait()
		start, ok := c.Synced("d")
		assert.True(t, ok)
		time.Sleep(time.Second) //nolint:forbidigo // inside a bubble
		c.confirm(map[string]held{"d": {"md5 of the new", false}, "unwatched": {"", true}})
		at, _ := c.Synced("d")
		assert.Equal(t, start, at, "watchers still have the old one")
		c.confirm(map[string]held{"d": {"md5 of the old", true}})
		at, _ = c.Synced("d")
		assert.Equal(t, start.Add(time.Second), at)
		cancel()
		c.watches.Close()
	})
}
