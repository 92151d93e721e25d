package nacos

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/nacosconn"
)

const (
	// A server may answer with the content from before a change for a moment;
	// these many looks, so far apart, find out who was first.
	conflictLooks = 4
	conflictPause = 100 * time.Millisecond
)

// Publish implements [config.Publisher]. It waits for a connection as long as ctx
// allows. Nacos refuses documents without content. An error other than
// [config.ErrConflict] leaves open whether the document was stored.
func (c *Client) Publish(ctx context.Context, dataID string, content []byte, casMD5 string) error {
	if err := check(dataID); err != nil {
		return err
	}
	if len(content) == 0 {
		return fmt.Errorf("%w: %q: Nacos refuses a document without content", ErrInvalid, dataID)
	}
	conn, err := c.session.Conn(ctx)
	if err != nil {
		return closed(err)
	}
	err = conn.Publish(ctx, c.key(dataID), string(content), casMD5, kind(dataID))
	var refused *nacosconn.ServerError
	if casMD5 != "" && errors.As(err, &refused) {
		return c.conflict(ctx, conn, dataID, casMD5, err)
	}
	return err
}

// kind is Nacos's name of the document's format; its console colors it.
func kind(dataID string) string {
	switch path.Ext(dataID) {
	case ".yaml", ".yml":
		return "yaml"
	case ".json":
		return "json"
	}
	return ""
}

// conflict finds out whether Nacos refused because somebody else has changed the
// document: servers say so in different words, so we look.
func (c *Client) conflict(ctx context.Context, conn *nacosconn.Conn, dataID, casMD5 string, refused error) error {
	for range conflictLooks {
		got, err := conn.GetConfig(ctx, c.key(dataID))
		if err != nil {
			return fmt.Errorf("%w; and it could not be read again: %w", refused, err)
		}
		if got.MD5 != casMD5 {
			return fmt.Errorf("%w: %q: %w", config.ErrConflict, dataID, refused)
		}
		if !nacosconn.Pause(ctx, conn.Lost(), conflictPause) {
			break
		}
	}
	return refused
}
