package nacos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
)

func TestSyncedIsWhenTheServerConfirmedTheDocumentLast(t *testing.T) {
	t.Parallel()
	srv := nacostest.Run(t)
	c, _ := newClient(t, srv.Addr())
	_, ok := c.Synced(id)
	assert.False(t, ok)
	docs := watch(t, c, id)
	assert.Equal(t, "absent ", next(t, docs, patience))
	read, ok := c.Synced(id)
	assert.True(t, ok)
	assert.WithinDuration(t, time.Now(), read, time.Second)
	srv.Publish(config.DefaultGroup, id, "1")
	assert.Equal(t, "present 1", next(t, docs, patience))
	changed, _ := c.Synced(id)
	assert.True(t, changed.After(read))
	// Nothing changes any more, and that is confirmed by the digests.
	require.Eventually(t, func() bool {
		at, _ := c.Synced(id)
		return at.Sub(changed) > 5*time.Second
	}, 20*time.Second, 10*time.Millisecond)
	assert.Empty(t, docs)
}
