package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Cache keeps the last good lists and documents for a process that starts while the
// registry is away. Its methods may be called concurrently. What it answers is not
// believed before it was checked, and is replaced by the first real answer.
type Cache interface {
	// Load returns what was saved under a key, and when; false if nothing was, or it
	// is damaged.
	Load(key string) (data []byte, saved time.Time, ok bool)
	// Save replaces what is saved under a key.
	Save(key string, data []byte) error
}

const (
	// cacheAfter is how long a view waits for the registry, while it is not
	// connected, before it serves from the cache.
	cacheAfter = 50 * time.Millisecond
	// silentAfter is the same for one that is connected and does not answer.
	silentAfter = time.Second
	// saveAfter is how long changes of a list are collected before it is saved.
	saveAfter = time.Second
	// cacheReports is how often a cache that does not work is reported at most.
	cacheReports = time.Minute
)

// WithCache makes the resolver keep the last good lists and documents in c, and serve
// from there while the registry does not answer a process that has just started.
func WithCache(c Cache) Option {
	return func(o *options) { o.cache = c }
}

// cached is the resolver's side of the cache. The zero value has none.
type cached struct {
	cache Cache

	mu       sync.Mutex // guards reported
	reported time.Time
}

func listKey(k viewKey) string { return "list\x00" + k.service.String() + "\x00" + k.protocol }

func docKey(id string) string { return "doc\x00" + id }

// list returns the saved list of a view, nil if there is none.
func (c *cached) list(k viewKey) *registry.Update {
	if c.cache == nil {
		return nil
	}
	data, saved, ok := c.cache.Load(listKey(k))
	if !ok {
		return nil
	}
	u := registry.Update{Origin: registry.Cached, At: saved}
	if json.Unmarshal(data, &u.Instances) != nil {
		return nil
	}
	for i := range u.Instances {
		if u.Instances[i].Validate() != nil {
			return nil
		}
	}
	return &u
}

// document returns a saved document.
func (c *cached) document(id string) (config.Doc, bool) {
	if c.cache == nil {
		return config.Doc{}, false
	}
	data, _, ok := c.cache.Load(docKey(id))
	sum, content, cut := bytes.Cut(data, []byte("\n"))
	return config.Doc{Content: content, MD5: string(sum), State: config.Cached}, ok && cut
}

func (c *cached) saveDocument(id string, doc config.Doc) error {
	return c.save(docKey(id), slices.Concat([]byte(doc.MD5), []byte("\n"), doc.Content))
}

// save saves something, and returns an error that is to be reported.
func (c *cached) save(key string, data []byte) error {
	if c.cache == nil {
		return nil
	}
	err := c.cache.Save(key, data)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.reported) >= cacheReports {
		c.reported = now
		return fmt.Errorf("%w: %w", ErrCache, err)
	}
	return nil
}

func (c *cached) saveList(k viewKey, list []registry.Instance) error {
	if c.cache == nil {
		return nil
	}
	data, err := json.Marshal(list)
	if err != nil {
		return errors.Join(ErrCache, err) // cannot be
	}
	return c.save(listKey(k), data)
}

// away waits until it is clear that a registry or a source of documents is away, and
// reports whether it is: it is not connected, or is but has not answered for long. It
// returns false as soon as the answer is known.
func away(ctx context.Context, half any, known <-chan struct{}) bool {
	connected := func() bool {
		w, ok := half.(interface{ Reason() error })
		return !ok || w.Reason() == nil
	}
	late := time.After(silentAfter)
	tick := time.NewTicker(cacheAfter)
	defer tick.Stop()
	for {
		select {
		case <-known:
			return false
		case <-ctx.Done():
			return false
		case <-late:
			return true
		case <-tick.C:
			if !connected() {
				return true
			}
		}
	}
}

// recall gives a document its last good version of an earlier process, or that there
// was none.
func (d *document[T]) recall() {
	doc, ok := d.resolver.cached.document(d.id)
	switch {
	case !ok:
	case len(doc.Content) == 0:
		d.recalled = true
	default:
		if parsed, _ := d.parse(doc.Content); parsed != nil {
			d.earlier, d.earlierMD5, d.recalled = parsed, doc.MD5, true
		}
	}
}
