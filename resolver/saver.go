package resolver

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/graylane/graylane/registry"
)

const (
	// saveAfter is how long changes are collected before they are saved.
	saveAfter = time.Second
	// saveEvery is how often what does not change is saved again: a cache may forget
	// what nobody has saved for long.
	saveEvery = 24 * time.Hour
	// saveEnd is the longest that the end of the resolver waits for what is not saved yet.
	saveEnd = 500 * time.Millisecond
	// maxEnded is how many owners that have ended wait to be saved.
	maxEnded = MaxServices
	// cacheReports is how often a cache that does not work is reported at most.
	cacheReports = time.Minute
)

// kept is what one owner, a list or a document, has in force.
type kept struct {
	service registry.Service // whom an error is about
	key     string
	data    func() ([]byte, error)
	list    bool // of a service that is known by that
	ifKnown bool // to be saved only if the service is known

	turn  uint64 // the later put is saved later: several owners may have one key
	dirty bool   // not saved yet
	over  bool   // the owner has ended
}

// saver saves the latest of each owner, on a goroutine of its own that starts with the
// first put: nobody waits for it but close, and that not for long. A nil saver saves
// nothing.
type saver struct {
	cache Cache
	hooks hooks

	wake chan struct{} // of capacity 1: "look at what is kept"
	quit chan struct{} // closed by close
	done chan struct{} // closed when the goroutine ends

	mu       sync.Mutex // guards what follows; neither the cache nor a hook is called under it
	kept     map[any]*kept
	turns    uint64
	ended    int // how many of them are over
	started  bool
	closed   bool
	left     bool      // close did not wait any longer: save nothing more, say nothing more
	reported time.Time // the last error
}

func newSaver(c Cache, h hooks) *saver {
	return &saver{
		cache: c, hooks: h, kept: map[any]*kept{},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// put replaces what an owner has in force. It keeps what it refers to until the owner
// puts something else or is forgotten.
func (s *saver) put(owner any, k kept) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if !s.started {
		s.started = true
		go s.run()
	}
	s.turns++
	k.turn, k.dirty = s.turns, true
	s.kept[owner] = &k
	s.look()
}

// forget ends an owner; what it has put last is saved before, unless the cache hangs and
// very many have ended meanwhile.
func (s *saver) forget(owner any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[owner]
	switch {
	case k == nil:
	case s.ended >= maxEnded:
		delete(s.kept, owner)
	default:
		k.over = true
		s.ended++
		s.look()
	}
}

func (s *saver) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close saves what is not saved yet, for at most saveEnd.
func (s *saver) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.quit)
	}
	started := s.started
	s.mu.Unlock()
	if !started {
		return
	}
	select {
	case <-s.done:
	case <-time.After(saveEnd):
		s.mu.Lock()
		s.left = true
		s.mu.Unlock()
	}
}

func (s *saver) run() {
	defer close(s.done)
	again := time.NewTicker(saveEvery)
	defer again.Stop()
	for {
		select {
		case <-s.wake:
			select {
			case <-time.After(saveAfter):
			case <-s.quit:
			}
			s.save(false)
		case <-again.C:
			s.save(true)
		case <-s.quit:
			s.save(false)
			return
		}
	}
}

// save saves what is dirty, or all.
func (s *saver) save(all bool) {
	for _, k := range s.due(all) {
		data, err := k.data()
		if err == nil {
			err = s.cache.Save(k.key, data)
		}
		report, left := s.saved(err)
		if left {
			return
		}
		if report {
			s.hooks.err(k.service, fmt.Errorf("%w: %w", ErrCache, err))
		}
	}
}

// due returns what is to be saved, in the order in which it was put, and lets go of
// owners that have ended.
func (s *saver) due(all bool) []*kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return nil
	}
	s.ended = 0
	known := map[registry.Service]bool{}
	for _, k := range s.kept {
		if k.list {
			known[k.service] = true
		}
	}
	var due []*kept
	for owner, k := range s.kept {
		// What waits for its service to become known stays dirty.
		if (k.dirty || all) && (!k.ifKnown || known[k.service]) {
			k.dirty = false
			due = append(due, k)
		}
		if k.over {
			delete(s.kept, owner)
		}
	}
	slices.SortFunc(due, func(a, b *kept) int { return cmp.Compare(a.turn, b.turn) })
	return due
}

// saved takes how a save ended, and returns whether that is to be reported, and whether
// the resolver has ended meanwhile.
func (s *saver) saved(err error) (report, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); err != nil && now.Sub(s.reported) >= cacheReports && !s.left {
		s.reported, report = now, true
	}
	return report, s.left
}
