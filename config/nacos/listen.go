package nacos

import (
	"context"
	"maps"
	"time"

	"github.com/graylane/graylane/internal/nacosconn"
)

// compareEvery is how often, give or take a fifth, the digests of all documents
// are compared with the server's, to find what a notification may have missed.
const compareEvery = 10 * time.Second

// listen is the goroutine that tells each connection what we hold, so that the
// server notifies us of changes, and has what differs already read again.
func (c *Client) listen(ctx context.Context) {
	var backoff nacosconn.Backoff
	for ctx.Err() == nil {
		conn, err := c.session.Conn(ctx)
		if err != nil {
			return
		}
		known, docs := c.holding()
		changed, err := conn.Listen(ctx, docs)
		for _, k := range changed {
			delete(known, k.DataID)
			c.reread(k.DataID)
		}
		if err == nil {
			c.confirm(known)
			backoff.Reset()
			c.rest(ctx, conn)
		} else if ctx.Err() == nil {
			c.report("", err)
			nacosconn.Pause(ctx, conn.Lost(), backoff.Next())
		}
	}
}

// rest waits until there is a reason to listen again.
func (c *Client) rest(ctx context.Context, conn *nacosconn.Conn) {
	t := time.NewTimer(nacosconn.Jitter(compareEvery))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.relisten:
	case <-conn.Lost():
	case <-ctx.Done():
	}
}

// holding returns the documents that we hold, or know to be absent, and the same
// as Nacos wants them.
func (c *Client) holding() (map[string]held, []nacosconn.Listened) {
	c.mu.Lock()
	defer c.mu.Unlock()
	docs := make([]nacosconn.Listened, 0, len(c.held))
	for dataID, h := range c.held {
		docs = append(docs, nacosconn.Listened{Key: c.key(dataID), MD5: h.md5})
	}
	return maps.Clone(c.held), docs
}

// confirm remembers that the server has said that it holds the same.
func (c *Client) confirm(same map[string]held) {
	for dataID, h := range same {
		if w := c.watches.Find(dataID); w != nil && h.usable {
			w.Confirm()
		}
	}
}
