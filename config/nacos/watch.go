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
// reads the document whenever something is put: when it was said to have changed.
type (
	watches = nacosconn.Topics[string, time.Time, config.Doc]
	watched = nacosconn.Topic[time.Time, config.Doc]
)

// Watch implements [config.Source]. A document without content counts as absent.
// After Close it returns [ErrClosed].
func (c *Client) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	if err := check(dataID); err != nil {
		return err
	}
	return closed(c.watches.Watch(ctx, dataID, fn))
}

// Synced returns when Nacos said last that what watchers of a document have is what
// it holds, or that there is none: by an answer to a read, or to the comparison of
// digests every 10 s, give or take 2. False if nobody watches the document, or it
// was not read yet. It is cheap.
func (c *Client) Synced(dataID string) (time.Time, bool) { return c.watches.Confirmed(dataID) }

// notified is told by the server that a document has changed.
func (c *Client) notified(k nacosconn.ConfigKey) {
	if k == c.key(k.DataID) {
		c.reread(k.DataID)
	}
}

func (c *Client) reread(dataID string) {
	if w := c.watches.Find(dataID); w != nil {
		w.Put(time.Now())
	}
}

// follow is the goroutine of one watched document. It reads it now and whenever
// something is put, one read after the other, and tells the listener what it
// holds.
func (c *Client) follow(ctx context.Context, dataID string, w *watched) {
	defer c.forget(dataID)
	var backoff nacosconn.Backoff
	var last *config.Doc
	var at time.Time
	for ctx.Err() == nil {
		conn, err := c.session.Conn(ctx)
		if err != nil {
			return
		}
		if !nacosconn.Pause(ctx, conn.Lost(), conn.UrgentTurn()) {
			continue
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
		doc, err := document(dataID, got)
		c.hold(dataID, held{got.MD5, err == nil})
		switch {
		case err != nil:
			c.report(dataID, err)
		case last == nil || last.MD5 != doc.MD5:
			last, doc.At = &doc, at
			w.Publish(doc)
		default:
			w.Confirm()
		}
		select {
		case at = <-w.In():
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

// hold remembers what we hold. The listener asks about a
// document only after this: from then on a change is either notified or seen by
// the comparison of digests.
func (c *Client) hold(dataID string, h held) {
	c.mu.Lock()
	_, known := c.held[dataID]
	c.held[dataID] = h
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
func (c *Client) forget(dataID string) {
	c.mu.Lock()
	delete(c.held, dataID)
	c.mu.Unlock()
	conn, _ := c.session.Current()
	if conn == nil {
		return
	}
	goodbye, cancel := context.WithTimeout(c.life, goodbye)
	defer cancel()
	if err := conn.Unlisten(goodbye, c.key(dataID)); err != nil && c.life.Err() == nil { // at its end the connection ends too
		c.report(dataID, err)
	}
}
