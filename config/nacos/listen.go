package nacos

import (
	"context"
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
		changed, err := conn.Listen(ctx, c.holding())
		for _, k := range changed {
			c.reread(k.DataID)
		}
		if err == nil {
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

// holding lists the documents that we hold, or know to be absent.
func (c *Client) holding() []nacosconn.Listened {
	c.mu.Lock()
	defer c.mu.Unlock()
	docs := make([]nacosconn.Listened, 0, len(c.held))
	for dataID, md5 := range c.held {
		docs = append(docs, nacosconn.Listened{Key: c.key(dataID), MD5: md5})
	}
	return docs
}
