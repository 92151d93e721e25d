package nacostest

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
)

// How long the server waits, as Nacos does.
const (
	// forgetAfter is for an edit whose instance is gone, and for an empty service.
	forgetAfter = 60 * time.Second
	// An instance of an HTTP client becomes unhealthy and goes when no heartbeat
	// came for so long.
	unhealthyAfter = 15 * time.Second
	removeAfter    = 30 * time.Second
)

// naming holds who is registered, who watches, and what operators edited.
type naming struct {
	pushDelay time.Duration

	mu       sync.Mutex                      // guards all below and what it leads to; conn.mu may be taken under it
	clients  map[*conn]map[*service]struct{} // the services in which a connection registered or subscribed
	services map[registry.Service]*service   // present once somebody named it
	changed  chan struct{}                   // closed and replaced at each change
	seq      uint64                          // of publications
}

// publisher is who registered instances: a connection, or an HTTP client that is
// known by the address of its instance.
type publisher struct {
	conn *conn
	addr string
}

// publication is all that one publisher registered in a service.
type publication struct {
	seq       uint64 // later ones come later in lists
	instances []Instance
	beat      time.Time // the last heartbeat; zero if none is needed
}

// edit is what an operator laid over an instance.
type edit struct {
	weight    float64
	enabled   bool
	metadata  map[string]string
	goneSince time.Time // zero while the instance is registered
}

type service struct {
	id          registry.Service
	published   map[publisher]publication
	count       int              // instances in published
	live        map[string]int   // how often published, by Instance.ID
	edits       map[string]*edit // by Instance.ID
	subscribers map[*conn]string // with the clusters they named
	everListed  bool             // an instance was registered at least once
	emptySince  time.Time        // meaningful while count is 0

	list  []Instance      // all instances with edits; nil: to be built
	hosts json.RawMessage // the enabled ones as JSON; nil: to be built

	// What the next push is for, while scheduled.
	scheduled bool
	all       bool
	some      []*conn
}

func newNaming(pushDelay time.Duration) *naming {
	return &naming{
		pushDelay: pushDelay,
		clients:   map[*conn]map[*service]struct{}{},
		services:  map[registry.Service]*service{},
		changed:   make(chan struct{}),
	}
}

// wipe forgets everything. There are no connections while it is called.
func (n *naming) wipe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.services)
	n.broadcast()
}

func (n *naming) broadcast() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// join makes the connection a client that may register and subscribe.
func (n *naming) join(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.clients[c] == nil {
		n.clients[c] = map[*service]struct{}{}
	}
}

// leave takes the connection's instances and subscriptions away.
func (n *naming) leave(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for svc := range n.clients[c] {
		delete(svc.subscribers, c)
		if _, ok := svc.published[publisher{conn: c}]; ok {
			n.publishLocked(svc, publisher{conn: c}, publication{})
		}
	}
	delete(n.clients, c)
}

// service returns the record of a service, made if needed.
func (n *naming) service(id registry.Service) *service {
	svc := n.services[id]
	if svc == nil {
		svc = &service{
			id: id, published: map[publisher]publication{}, live: map[string]int{},
			edits: map[string]*edit{}, subscribers: map[*conn]string{}, emptySince: time.Now(),
		}
		n.services[id] = svc
	}
	return svc
}

// publish replaces all that p registered in the service. It is false if p is a
// connection that may not register.
func (n *naming) publish(p publisher, id registry.Service, pub publication) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	svc := n.service(id)
	if p.conn != nil {
		touched, ok := n.clients[p.conn]
		if !ok {
			return false
		}
		touched[svc] = struct{}{}
	}
	n.publishLocked(svc, p, pub)
	return true
}

func (n *naming) publishLocked(svc *service, p publisher, pub publication) {
	before := svc.published[p]
	delete(svc.published, p)
	if len(pub.instances) > 0 {
		n.seq++
		pub.seq = n.seq
		svc.published[p] = pub
		svc.everListed = true
	}
	svc.count += len(pub.instances) - len(before.instances)
	for _, in := range pub.instances {
		svc.live[in.ID()]++
		if e := svc.edits[in.ID()]; e != nil {
			e.goneSince = time.Time{}
		}
	}
	now := time.Now()
	for _, in := range before.instances {
		id := in.ID()
		svc.live[id]--
		if svc.live[id] > 0 {
			continue
		}
		delete(svc.live, id)
		if e := svc.edits[id]; e != nil {
			e.goneSince = now
		}
	}
	if svc.count == 0 {
		svc.emptySince = now
	}
	n.touch(svc)
}

// beat takes a heartbeat of an HTTP client; false if it has no instance.
func (n *naming) beat(p publisher, id registry.Service) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	svc := n.services[id]
	if svc == nil || svc.count == 0 {
		return false
	}
	pub, ok := svc.published[p]
	if !ok || pub.beat.IsZero() {
		return ok
	}
	pub.beat = time.Now()
	svc.published[p] = pub
	n.setHealth(svc, p, true)
	return true
}

// setHealth sets the health of an HTTP client's instance.
func (n *naming) setHealth(svc *service, p publisher, healthy bool) {
	pub := svc.published[p]
	if pub.instances[0].Healthy == healthy {
		return
	}
	pub.instances = slices.Clone(pub.instances)
	pub.instances[0].Healthy = healthy
	svc.published[p] = pub
	n.touch(svc)
}

// touch has the service's list built anew and pushed.
func (n *naming) touch(svc *service) {
	svc.list, svc.hosts = nil, nil
	svc.all = true
	n.schedule(svc)
	n.broadcast()
}

// schedule pushes after the delay; what is added meanwhile goes along.
func (n *naming) schedule(svc *service) {
	if svc.scheduled {
		return
	}
	svc.scheduled = true
	time.AfterFunc(n.pushDelay, func() { n.push(svc) })
}

func (n *naming) push(svc *service) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := push{typ: typeNotifySubscriber, subject: svc.id}
	if svc.all {
		for c := range svc.subscribers {
			c.enqueue(p)
		}
	} else {
		for _, c := range svc.some {
			c.enqueue(p)
		}
	}
	svc.scheduled, svc.all, svc.some = false, false, nil
}

// subscribe makes the connection a subscriber, or ends that. It is false if the
// connection may not subscribe.
func (n *naming) subscribe(c *conn, id registry.Service, clusters string, on bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	touched, ok := n.clients[c]
	if !ok {
		return false
	}
	svc := n.service(id)
	if !on {
		delete(svc.subscribers, c)
		return true
	}
	touched[svc] = struct{}{}
	svc.subscribers[c] = clusters
	svc.some = append(svc.some, c)
	n.schedule(svc)
	return true
}

// edit lays the values of in over the instance with its address and cluster, and
// reports whether the service exists. Each edit replaces the one before.
func (n *naming) edit(id registry.Service, in Instance) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	svc := n.services[id]
	if svc == nil || !svc.everListed {
		return false
	}
	e := &edit{weight: in.Weight, enabled: in.Enabled, metadata: maps.Clone(in.Metadata)}
	if svc.live[in.ID()] == 0 {
		e.goneSince = time.Now()
	}
	svc.edits[in.ID()] = e
	n.touch(svc)
	return true
}

// sweep ends what lives only for a while.
func (n *naming) sweep(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, svc := range n.services {
		for p, pub := range svc.published {
			switch age := now.Sub(pub.beat); {
			case pub.beat.IsZero():
			case age >= removeAfter:
				n.publishLocked(svc, p, publication{})
			case age >= unhealthyAfter:
				n.setHealth(svc, p, false)
			}
		}
		maps.DeleteFunc(svc.edits, func(_ string, e *edit) bool {
			return !e.goneSince.IsZero() && now.Sub(e.goneSince) >= forgetAfter
		})
		if svc.count == 0 && now.Sub(svc.emptySince) >= forgetAfter {
			svc.everListed = false
			if len(svc.subscribers) == 0 && len(svc.edits) == 0 && !svc.scheduled {
				n.forget(id, svc)
			}
		}
	}
}

func (n *naming) forget(id registry.Service, svc *service) {
	delete(n.services, id)
	for _, touched := range n.clients {
		delete(touched, svc)
	}
}

// instances returns all instances of a service, edits laid over, sorted by ID.
// The result is read-only.
func (n *naming) instances(id registry.Service) []Instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	if svc := n.services[id]; svc != nil {
		return svc.build()
	}
	return nil
}

// build makes the list of all instances. Equal ones are one, those that differ in
// anything but the address stay side by side, the later registration later.
func (svc *service) build() []Instance {
	if svc.list != nil {
		return svc.list
	}
	publications := slices.SortedFunc(maps.Values(svc.published), func(a, b publication) int { return cmp.Compare(a.seq, b.seq) })
	list := make([]Instance, 0, svc.count)
	for _, p := range publications {
		for _, in := range p.instances {
			list = append(list, svc.edits[in.ID()].over(in))
		}
	}
	slices.SortStableFunc(list, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Cluster, b.Cluster))
	})
	kept := list[:0]
	same := 0 // where the run of instances with one ID begins
	for _, in := range list {
		if len(kept) > 0 && kept[len(kept)-1].ID() != in.ID() {
			same = len(kept)
		}
		if !slices.ContainsFunc(kept[same:], in.equal) {
			kept = append(kept, in)
		}
	}
	svc.list = kept
	return svc.list
}

// over lays the edit, which may be nil, over an instance.
func (e *edit) over(in Instance) Instance {
	if e == nil {
		return in
	}
	in.Weight, in.Enabled = e.weight, e.enabled
	merged := make(map[string]string, len(in.Metadata)+len(e.metadata))
	maps.Copy(merged, in.Metadata)
	maps.Copy(merged, e.metadata)
	in.Metadata = merged
	return in
}
