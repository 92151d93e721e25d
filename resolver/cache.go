package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// Cache keeps the last good lists and documents for a process that starts while the
// registry is away. Its methods may be called concurrently. What it answers is not
// believed before it was checked, and is replaced by the first real answer.
//
// Nothing waits for a cache but a document that would otherwise be refused or absent, for
// 100 ms, and Resolver.Close, for 500 ms. One that hangs is as good as none; the
// goroutines that hang in it, at most 17 of a resolver, are left behind by Close.
type Cache interface {
	// Load returns what was saved under a key, and when; false if nothing was, or it
	// is damaged. The data belongs to the caller.
	Load(key string) (data []byte, saved time.Time, ok bool)
	// Save replaces what is saved under a key. It does not keep the data. What stays in
	// force is saved once a day.
	Save(key string, data []byte) error
}

const (
	// cacheAfter is how long a view waits for the registry, while it cannot be
	// reached, before it serves from the cache.
	cacheAfter = 50 * time.Millisecond
	// silentAfter is the same for one that does not answer, or is slow to connect to: its
	// answer may come at any moment, and what is in the cache may be old.
	silentAfter = time.Second
	// recallWait is how long a document whose first version is no good waits for the cache.
	recallWait = 100 * time.Millisecond
	// youngCache is how old a list of the cache may be to be held against an empty one.
	youngCache = 10 * time.Minute
	// maxLoads is how many loads run at once.
	maxLoads = 16
)

// WithCache makes the resolver keep the last good lists and documents in c, and serve
// from there while the registry does not answer a process that has just started.
func WithCache(c Cache) Option {
	return func(o *options) { o.cache = c }
}

// cached is the resolver's side of the cache. The zero value has none.
type cached struct {
	*saver

	loads chan struct{} // one for each load that runs
}

func newCached(o options) cached {
	if o.cache == nil {
		return cached{}
	}
	return cached{newSaver(o.cache, o.hooks), make(chan struct{}, maxLoads)}
}

func listKey(k viewKey) string { return "list\x00" + k.service.String() + "\x00" + k.protocol }

func docKey(id string) string { return "doc\x00" + id }

// none reports whether there is no cache; only then load must not be called.
func (c *cached) none() bool { return c.saver == nil }

// entry is what was saved.
type entry struct {
	data  []byte
	saved time.Time
	ok    bool
}

// load returns what will be loaded. Nothing comes from a cache that hangs, or if ctx
// ends before.
func (c *cached) load(ctx context.Context, key string) <-chan entry {
	got := make(chan entry, 1)
	go func() {
		select {
		case c.loads <- struct{}{}:
		case <-ctx.Done():
			return
		}
		defer func() { <-c.loads }()
		var e entry
		e.data, e.saved, e.ok = c.cache.Load(key)
		got <- e
	}()
	return got
}

// list waits for the saved list of a view, and returns nil if there is none that can be
// used.
func (c *cached) list(ctx context.Context, k viewKey) *registry.Update {
	var e entry
	select {
	case e = <-c.load(ctx, listKey(k)):
	case <-ctx.Done():
	}
	if !e.ok {
		return nil
	}
	u := registry.Update{Origin: registry.Cached, At: e.saved}
	// An empty one would say that the service has no instance, which nobody knows now.
	if json.Unmarshal(e.data, &u.Instances) != nil || len(speaking(k.protocol, u.Instances)) == 0 {
		return nil
	}
	for i := range u.Instances {
		if u.Instances[i].Validate() != nil {
			return nil
		}
	}
	return &u
}

// document returns a saved document; false if there is none.
func (e entry) document() (config.Doc, bool) {
	sum, content, cut := bytes.Cut(e.data, []byte("\n"))
	return config.Doc{Content: content, MD5: string(sum), State: config.Cached}, e.ok && cut
}

func (c *cached) keepDocument(owner any, k kept, doc config.Doc) {
	k.data = func() ([]byte, error) { return slices.Concat([]byte(doc.MD5), []byte("\n"), doc.Content), nil }
	c.put(owner, k)
}

func (c *cached) keepList(owner any, k viewKey, list []registry.Instance) {
	c.put(owner, kept{
		service: k.service, key: listKey(k), list: true,
		data: func() ([]byte, error) { return json.Marshal(list) },
	})
}

// away waits until it is clear that a registry or a source of documents is away, and
// reports whether it is: it cannot be reached, or has not answered for long. It returns
// false as soon as the answer is known.
func away(ctx context.Context, half any, known <-chan struct{}) bool {
	unreachable := func() bool {
		w, ok := half.(interface{ Reason() error })
		if !ok || w.Reason() == nil {
			return false
		}
		t, ok := half.(interface{ Trying() bool })
		return !ok || !t.Trying()
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
			if unreachable() {
				return true
			}
		}
	}
}
