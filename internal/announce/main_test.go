package announce

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a registrar that writes down what it was told.
type book struct {
	mu      sync.Mutex // guards the rest
	entries []*entry   // in order of registration
	refuse  error
}

// entry is a registration.
type entry struct {
	registry.Registration
	book    *book
	service registry.Service
	told    []registry.Instance
	at      []time.Time
	closed  bool
}

func (b *book) Register(_ context.Context, s registry.Service, in registry.Instance) (registry.Registration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return nil, b.refuse
	}
	e := &entry{book: b, service: s, told: []registry.Instance{in}, at: []time.Time{time.Now()}}
	b.entries = append(b.entries, e)
	return e, nil
}

func (e *entry) Update(_ context.Context, in registry.Instance) error {
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	e.told, e.at = append(e.told, in), append(e.at, time.Now())
	return nil
}

func (e *entry) Close(context.Context) error {
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	e.closed = true
	return nil
}

// len returns how many registrations there were.
func (b *book) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

// open returns the registrations of a service that are not closed.
func (b *book) open(name string) []*entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []*entry
	for _, e := range b.entries {
		if e.service.Name == name && !e.closed {
			open = append(open, e)
		}
	}
	return open
}

// last returns what is announced of a service now.
func (b *book) last(t *testing.T, name string) Announcement {
	t.Helper()
	open := b.open(name)
	require.Len(t, open, 1)
	return Read(open[0].told[len(open[0].told)-1].Metadata)
}

// source has documents; each watch of one can be told alone.
type source struct {
	mu      sync.Mutex // guards the rest
	docs    map[string]config.Doc
	watches map[string][]func(config.Doc)
}

func (s *source) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	s.mu.Lock()
	fn(s.docs[dataID])
	s.watches[dataID] = append(s.watches[dataID], fn)
	s.mu.Unlock()
	<-ctx.Done()
	return context.Cause(ctx)
}

// publish tells watches of a document, all or the first so many.
func (s *source) publish(dataID, content string, most int) (md5 string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := config.NewDoc([]byte(content))
	doc.At = time.Now()
	s.docs[dataID] = doc
	for i, fn := range s.watches[dataID] {
		if i < most {
			fn(doc)
		}
	}
	return doc.MD5
}

const all = 100

// process is a consumer in a bubble.
type process struct {
	*testing.T
	list      *memory.Registry
	docs      *source
	book      *book
	resolver  *resolver.Resolver
	announcer *Announcer
}

// inProcess runs a test with a consumer, in a bubble of fake time.
func inProcess(t *testing.T, o Options, test func(p *process)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &process{
			T: t, list: memory.New(), book: &book{},
			docs: &source{docs: map[string]config.Doc{}, watches: map[string][]func(config.Doc){}},
		}
		o.Registrar, o.Namespace = p.book, registry.DefaultNamespace
		p.announcer = New(o)
		var err error
		p.resolver, err = resolver.New(p.list, p.docs, resolver.WithHooks(resolver.Hooks{OnUpdate: p.announcer.Updated}), resolver.WithHold(0))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.announcer.Run(ctx) })
		test(p)
		cancel()
		running.Wait()
		require.NoError(t, p.resolver.Close())
	})
}

// consume opens a view of a service, which has an instance if it is known.
func (p *process) consume(name, protocol string, known bool) *resolver.View {
	p.Helper()
	if known {
		p.list.Set(p.resolver.Service(name), registry.NewInstance("10.0.0.1:80"))
	}
	v, err := p.resolver.View(p.resolver.Service(name), protocol)
	require.NoError(p, err)
	synctest.Wait()
	return v
}

// passes lets time pass.
func (p *process) passes(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time
	synctest.Wait()
}

func sizeOf(m map[string]string) int {
	n := 0
	for k, v := range maps.All(m) {
		n += size(k) + size(v)
	}
	return n
}
