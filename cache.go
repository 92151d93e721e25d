package graylane

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/internal/disk"
	"github.com/graylane/graylane/registry"
)

// openCache opens the cache that was asked for; nil if there is none. That it cannot be
// opened is no reason not to start.
func (o *options) openCache() *disk.Store {
	if o.cache.value == noCache {
		return nil
	}
	dir, err := o.cacheDir()
	var store *disk.Store
	if err == nil {
		store, err = disk.Open(dir)
	}
	if err != nil {
		o.report(registry.Service{}, fmt.Errorf("graylane: no disk cache: %w (set %s, or %s=%s)", err, envCache, envCache, noCache))
		return nil
	}
	return store
}

// cacheDir returns the directory that was asked for, or the default.
func (o *options) cacheDir() (string, error) {
	if o.cache.value != "" {
		return o.cache.value, nil
	}
	home, err := os.UserCacheDir()
	return filepath.Join(home, "graylane"), err
}

// closeTime is how long the end of a client waits for a disk that hangs.
const closeTime = 200 * time.Millisecond

func (c *Client) closeCache() {
	if c.cache == nil {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.cache.Close() // all is saved
	}()
	select {
	case <-closed:
	case <-time.After(closeTime):
	}
}

// scope tells what is kept of one Nacos and namespace from that of others.
func (s *settings) scope() string {
	servers := slices.Sorted(slices.Values(s.nacos.Servers))
	return strings.Join(servers, ",") + "\x00" + s.home.Namespace + "\x00"
}

// scoped is a store of which one scope is seen.
type scoped struct {
	store *disk.Store
	scope string
}

// Load implements resolver.Cache.
func (s scoped) Load(key string) ([]byte, time.Time, bool) { return s.store.Load(s.scope + key) }

// Save implements resolver.Cache.
func (s scoped) Save(key string, data []byte) error { return s.store.Save(s.scope+key, data) }
