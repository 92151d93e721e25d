package nacos

import (
	"context"
	"fmt"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/nacosconn"
)

// goodbye bounds the request that ends the notifications about a document.
const goodbye = time.Second

// watches are the documents that somebody watches; each has one goroutine, which
// reads the document whenever something is put.
type (
	watches = nacosconn.Topics[string, struct{}, config.Doc]
	watched = nacosconn.Topic[struct{}, config.Doc]
)

// Watch implements [config.Source]. A document without content counts as absent.
// After Close it returns [ErrClosed].
func (c *Client) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	if err := check(dataID); err != nil {
		return err
	}
	return closed(c.watches.Watch(ctx, dataID, fn))
}

// notified is told by the server that a document has changed.
func (c *Client) notified(k nacosconn.ConfigKey) {
	if k == c.key(k.DataID) {
		c.reread(k.DataID)
	}
}

func (c *Client) reread(dataID string) {
	if w := c.watches.Find(dataID); w != nil {
		w.Put(struct{}{})
	}
}

// follow is the goroutine of one watched document. It reads it now and whenever
// something is put, one read after the other, and tells the listener what it
// holds.
func (c *Client) follow(ctx context.Context, dataID string, w *watched) {
	defer c.forget(ctx, dataID)
	var backoff nacosconn.Backoff
	var last *config.Doc
	for ctx.Err() == nil {
		conn, err := c.session.Conn(ctx)
		if err != nil {
			return
		}
		got, err := conn.GetConfig(ctx, c.key(dataID))
		if err != nil {
			if ctx.Err() == nil {
				c.report(dataID, err)
				nacosconn.Pause(ctx, conn.Lost(), backoff.Next())
			}
			continue
		}
		backoff.Reset()
		c.hold(dataID, got.MD5)
		switch doc, err := document(dataID, got); {
		case err != nil:
			c.report(dataID, err)
		case last == nil || last.MD5 != doc.MD5:
			last = &doc
			w.Publish(doc)
		}
		select {
		case <-w.In():
		case <-ctx.Done():
		}
	}
}

// document makes a document of what the server holds.
func document(dataID string, got nacosconn.Document) (config.Doc, error) {
	if got.Encrypted {
		return config.Doc{}, fmt.Errorf("%w: %q is encrypted; that is not supported", ErrInvalid, dataID)
	}
	return config.NewDoc([]byte(got.Content)), nil // without content if not found
}

// hold remembers the server's digest of what we hold. The listener asks about a
// document only after this: from then on a change is either notified or seen by
// the comparison of digests.
func (c *Client) hold(dataID, sum string) {
	c.mu.Lock()
	_, known := c.held[dataID]
	c.held[dataID] = sum
	c.mu.Unlock()
	if known {
		return
	}
	select {
	case c.relisten <- struct{}{}:
	default:
	}
}

// forget ends the notifications about a document.
func (c *Client) forget(ctx context.Context, dataID string) {
	c.mu.Lock()
	delete(c.held, dataID)
	c.mu.Unlock()
	conn, _ := c.session.Current()
	select {
	case <-c.ended: // the connection ends too
		return
	default:
		if conn == nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := conn.Unlisten(ctx, c.key(dataID)); err != nil {
		c.report(dataID, err)
	}
}
