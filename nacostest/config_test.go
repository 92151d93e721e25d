package nacostest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
)

func listenBody(md5 string) string {
	return `{"listen":true,"configListenContexts":[{"tenant":"","group":"G","dataId":"d","md5":"` + md5 + `"}]}`
}

func TestListenersAreToldOfEachChange(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "config")
	assert.Empty(t, c.call("ConfigBatchListenRequest", listenBody("")).Body["changedConfigs"])
	assert.Equal(t, 1, srv.Listeners("G", "d"))

	for i := range 3 { // one listen is enough for all
		srv.Publish("G", "d", fmt.Sprint("content ", i))
		require.Equal(t, "ConfigChangeNotifyRequest", c.await().Type)
		m := c.call("ConfigQueryRequest", `{"group":"G","dataId":"d"}`)
		require.Equal(t, fmt.Sprint("content ", i), m.Body["content"])
	}
	md5 := srv.Publish("G", "d", "content 2")
	c.call("ConfigBatchListenRequest", strings.Replace(listenBody(""), `"d"`, `"other"`, 1))
	srv.Publish("G", "other", "content")
	require.Equal(t, "other", c.await().Body["dataId"], "the same content again is no change")
	assert.Empty(t, c.call("ConfigBatchListenRequest", listenBody(md5)).Body["changedConfigs"])
	assert.Len(t, c.call("ConfigBatchListenRequest", listenBody("other")).Body["changedConfigs"], 1)

	require.True(t, srv.Remove("G", "d"))
	require.Equal(t, "ConfigChangeNotifyRequest", c.await().Type)
	assert.False(t, srv.Remove("G", "d"))
	_, ok := srv.Config("G", "d")
	assert.False(t, ok)

	c.close()
	require.Eventually(t, func() bool { return srv.Listeners("G", "d") == 0 }, patience, time.Millisecond)
}

func TestTheDefaultNamespaceHasTwoNames(t *testing.T) {
	srv := nacostest.Run(t)
	c := connect(t, srv.GRPCAddr(), "config")
	srv.Publish("G", "d", "content")
	for tenant, want := range map[string]any{"": "content", "public": "content", "other": nil} {
		m := c.call("ConfigQueryRequest", `{"tenant":"`+tenant+`","group":"G","dataId":"d"}`)
		assert.Equal(t, want, m.Body["content"], "tenant %q", tenant)
	}
}
