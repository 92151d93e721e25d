package nacostest

import (
	"crypto/md5" //nolint:gosec // it is Nacos's identity of a content, not a protection.
	"encoding/hex"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
)

// configKey names a configuration: Namespace is the tenant, Name the data ID.
// The tenant of the default namespace is "".
type configKey = registry.Service

func newConfigKey(tenant, group, dataID string) configKey {
	if tenant == registry.DefaultNamespace {
		tenant = ""
	}
	return configKey{Namespace: tenant, Group: group, Name: dataID}
}

// config is one stored configuration. It is immutable.
type config struct {
	id           string
	content, md5 string
	typ          string
	modified     time.Time
}

// configs holds the configurations and who listens to them.
type configs struct {
	mu     sync.Mutex // guards all below; conn.mu may be taken under it
	stored map[configKey]config
	lastID uint64
	// listeners has the tenant as each listener wrote it.
	listeners map[configKey]map[*conn]string
	clients   map[*conn]map[configKey]struct{}
}

func newConfigs() *configs {
	return &configs{
		stored: map[configKey]config{}, listeners: map[configKey]map[*conn]string{},
		clients: map[*conn]map[configKey]struct{}{},
	}
}

// wipe forgets everything. There are no connections while it is called.
func (cs *configs) wipe() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	clear(cs.stored)
}

func (cs *configs) join(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.clients[c] == nil {
		cs.clients[c] = map[configKey]struct{}{}
	}
}

func (cs *configs) leave(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for key := range cs.clients[c] {
		cs.unlisten(c, key)
	}
	delete(cs.clients, c)
}

func (cs *configs) get(key configKey) (config, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	doc, ok := cs.stored[key]
	return doc, ok
}

func (cs *configs) all() map[configKey]config {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return maps.Clone(cs.stored)
}

// publish stores a content and tells the listeners if it is new. With a casMD5 it
// reports false if another content is stored; like in Nacos, it does not guard
// the creation.
func (cs *configs) publish(key configKey, content, typ, casMD5 string) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	old, exists := cs.stored[key]
	if exists && casMD5 != "" && casMD5 != old.md5 {
		return false
	}
	if !exists {
		cs.lastID++
		old.id = strconv.FormatUint(cs.lastID, 10)
	}
	doc := config{id: old.id, content: content, md5: digest(content), typ: typ, modified: time.Now()}
	cs.stored[key] = doc
	if doc.md5 != old.md5 {
		cs.notify(key)
	}
	return true
}

func (cs *configs) remove(key configKey) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, ok := cs.stored[key]; !ok {
		return false
	}
	delete(cs.stored, key)
	cs.notify(key)
	return true
}

func (cs *configs) notify(key configKey) {
	for c := range cs.listeners[key] {
		c.enqueue(push{typ: typeConfigChange, subject: key})
	}
}

// listen makes the connection a listener, or ends that. It reports whether the
// stored content differs from the one the client knows by its digest, "" for none.
func (cs *configs) listen(c *conn, key configKey, tenant, known string, on bool) (changed bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	keys, ok := cs.clients[c]
	if !ok {
		return false // gone meanwhile: nobody reads the answer
	}
	if !on {
		cs.unlisten(c, key)
		return false
	}
	keys[key] = struct{}{}
	if cs.listeners[key] == nil {
		cs.listeners[key] = map[*conn]string{}
	}
	cs.listeners[key][c] = tenant
	return cs.stored[key].md5 != known
}

func (cs *configs) unlisten(c *conn, key configKey) {
	delete(cs.clients[c], key)
	delete(cs.listeners[key], c)
	if len(cs.listeners[key]) == 0 {
		delete(cs.listeners, key)
	}
}

func digest(content string) string {
	sum := md5.Sum([]byte(content)) //nolint:gosec // see the import.
	return hex.EncodeToString(sum[:])
}

// Publish stores a configuration of the default namespace, tells its listeners,
// and returns the content's digest as Nacos names it.
func (s *Server) Publish(group, dataID, content string) string {
	s.configs.publish(newConfigKey("", group, dataID), content, "text", "")
	return digest(content)
}

// Config returns a configuration of the default namespace, and whether there is
// one.
func (s *Server) Config(group, dataID string) (content string, ok bool) {
	doc, ok := s.configs.get(newConfigKey("", group, dataID))
	return doc.content, ok
}

// Remove deletes a configuration of the default namespace, tells its listeners,
// and reports whether there was one.
func (s *Server) Remove(group, dataID string) bool {
	return s.configs.remove(newConfigKey("", group, dataID))
}

// Listeners returns how many connections listen to a configuration of the
// default namespace.
func (s *Server) Listeners(group, dataID string) int {
	s.configs.mu.Lock()
	defer s.configs.mu.Unlock()
	return len(s.configs.listeners[newConfigKey("", group, dataID)])
}
