package debug

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

const (
	// maxSaid is how many messages are kept; one that comes again is kept once.
	maxSaid = 50
	// maxText is how many bytes of a message are kept.
	maxText = 2000
	// maxDecisions is how many attempts are kept.
	maxDecisions = 100
	// ringSize is maxDecisions and some: a slot that is being written or read is passed
	// over.
	ringSize = 128
)

// message is something that the resolver said.
type message struct {
	Service string    `json:"service,omitempty"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"` // the last time
	Times   int       `json:"times"`
}

// saidKey is what makes two messages the same. Their texts may differ: errors of the
// network name a port that is another one each time.
type saidKey struct {
	kind    resolver.Kind // 0: an error
	service registry.Service
	about   string // a target or an address; of an error what errorKey makes of it
}

// errorKey tells errors apart by their document, or by their text without its numbers.
func errorKey(s registry.Service, err error) saidKey {
	if refused, ok := errors.AsType[*resolver.RefusedError](err); ok {
		return saidKey{service: s, about: refused.DataID}
	}
	about := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, cut(err.Error()))
	return saidKey{service: s, about: about}
}

// said keeps what was said last.
type said struct {
	mu   sync.Mutex // guards list; nothing is called under it
	list []entry    // the newest last
}

type entry struct {
	key saidKey
	message
}

// add keeps a message. It allocates, and waits for whoever adds or looks at the moment:
// each is under the lock for a look at maxSaid keys or a copy of maxSaid messages.
func (s *said) add(key saidKey, text string, now time.Time) {
	m := entry{key, message{Text: cut(text), At: now, Times: 1}}
	if key.service != (registry.Service{}) {
		m.Service = key.service.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(o entry) bool { return o.key == key })
	switch {
	case i >= 0:
		m.Times += s.list[i].Times
		s.list = slices.Delete(s.list, i, i+1)
	case len(s.list) == maxSaid:
		s.list = slices.Delete(s.list, 0, 1)
	}
	s.list = append(s.list, m)
}

// cut shortens a long text.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// latest returns what was said, the newest first.
func (s *said) latest() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]message, 0, len(s.list))
	for _, m := range slices.Backward(s.list) {
		out = append(out, m.message)
	}
	return out
}

// decision is what became of one attempt. It has nothing that the request said; the slot
// is computed from the key that its rule's split goes by.
type decision struct {
	At           time.Time     `json:"at"`
	Service      string        `json:"service"`
	Protocol     string        `json:"protocol"`
	Via          string        `json:"via"`
	Rule         string        `json:"rule"`
	Target       string        `json:"target"`
	Fallback     string        `json:"fallback"`
	Slot         int           `json:"slot"`
	Addr         string        `json:"addr"`
	Version      string        `json:"version"`
	Attempt      int           `json:"attempt"`
	Result       string        `json:"result"` // a verdict, or the reason of a refusal
	Took         time.Duration `json:"took_ns"`
	RulesMD5     string        `json:"rules_md5"`
	ListRevision uint64        `json:"list_revision"`
}

// ring keeps the last decisions. Who adds one neither waits nor allocates: the name
// of the service is put together when somebody looks.
type ring struct {
	next  atomic.Uint64
	slots [ringSize]struct {
		mu sync.Mutex // guards what follows; a writer only tries it
		n  uint64     // its number; 0: none
		decision

		service registry.Service
	}
}

func (r *ring) add(c *resolver.Call, target, result string, took time.Duration) {
	n := r.next.Add(1)
	s := &r.slots[n%ringSize]
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if n < s.n { // others were quicker, by a whole round
		return
	}
	d := &c.Decision
	s.n, s.service = n, c.Service()
	s.decision = decision{
		At: time.Now(), Protocol: c.Protocol(), Via: d.Via.String(), Rule: d.Rule, Target: target,
		Fallback: d.Fallback.String(), Slot: d.Slot, Attempt: c.Attempt, Result: result, Took: took,
	}
	if in := c.Instance(); in != nil {
		s.Addr, s.Version = in.Addr, in.Version()
	}
	if c.State != nil {
		s.RulesMD5, s.ListRevision = c.State.Revision(), c.State.Snapshot.Revision()
	}
}

// latest returns the last decisions, the newest first.
func (r *ring) latest() []decision {
	type numbered struct {
		n uint64
		d decision
	}
	var all []numbered
	for i := range r.slots {
		s := &r.slots[i]
		s.mu.Lock()
		if s.n > 0 {
			s.Service = s.service.String()
			all = append(all, numbered{s.n, s.decision})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(b.n, a.n) })
	out := make([]decision, 0, maxDecisions)
	for _, d := range all[:min(len(all), maxDecisions)] {
		out = append(out, d.d)
	}
	return out
}
