package nacos_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
)

// TestAServerThatSaysNonsenseIsOutlived: whatever a server answers in place of a document,
// nothing is reported that is none, and the document is, as soon as it is said again.
func TestAServerThatSaysNonsenseIsOutlived(t *testing.T) { // F62
	t.Parallel()
	for name, body := range map[string]func(json.RawMessage) json.RawMessage{
		"nothing":    func(json.RawMessage) json.RawMessage { return nil },
		"null":       func(json.RawMessage) json.RawMessage { return json.RawMessage("null") },
		"no JSON":    func(json.RawMessage) json.RawMessage { return json.RawMessage("\x00\xff<html>") },
		"half of it": func(b json.RawMessage) json.RawMessage { return b[:len(b)/2] },
		"depth": func(json.RawMessage) json.RawMessage {
			return json.RawMessage(`{"resultCode":200,"content":` + strings.Repeat("[", 100_000) + `}`)
		},
		"a content that is none": func(json.RawMessage) json.RawMessage {
			return json.RawMessage(`{"resultCode":200,"success":true,"content":{"a":1},"md5":1}`)
		},
		"beyond bound": func(json.RawMessage) json.RawMessage {
			return json.RawMessage(`{"resultCode":200,"success":true,"content":"` + strings.Repeat("x", 17<<20) + `"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := nacostest.Run(t)
			srv.Publish(config.DefaultGroup, id, "one")
			c, f := newClient(t, srv.Addr())
			docs := watch(t, c, id)
			require.Equal(t, "present one", next(t, docs, patience))
			var lies atomic.Int64
			srv.Intercept(func(r nacostest.Request) nacostest.Action {
				if r.Type != "ConfigQueryRequest" {
					return nacostest.Pass()
				}
				lies.Add(1)
				return nacostest.Rewrite(body)
			})
			srv.Publish(config.DefaultGroup, id, "two")
			require.Eventually(t, func() bool { return lies.Load() > 0 && f.count(id) > 0 }, patience, time.Millisecond)
			assert.Empty(t, docs, "the last one stays")
			srv.Intercept(nil)
			assert.Equal(t, "present two", next(t, docs, 2*patience))
			assert.Less(t, lies.Load(), int64(10), "it is not asked without end")
		})
	}
}
