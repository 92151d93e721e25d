// Package memory is a source of documents inside the process: unit tests, examples. It
// links nothing but the standard library and the parser of rules.
package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
)

// Source holds documents in memory. It is a config.Source and a config.Publisher; its
// methods may be called concurrently. The zero value is not usable, call New.
type Source struct {
	// mu guards what follows. Nothing is called under it.
	mu        sync.Mutex
	documents map[string]config.Doc
	changed   chan struct{} // closed, and replaced, with each change
}

var (
	_ config.Source    = (*Source)(nil)
	_ config.Publisher = (*Source)(nil)
)

// New returns a source of documents, by their data IDs; nil for none.
func New(documents map[string]string) *Source {
	s := &Source{documents: map[string]config.Doc{}, changed: make(chan struct{})}
	for id, content := range documents {
		s.documents[id] = config.NewDoc([]byte(content))
	}
	return s
}

// Set puts a document in place; an empty one takes it away. It returns the document's
// digest: watchers hear of it from goroutines of their own, and a view has it in force
// when that is the Revision of its State.
func (s *Source) Set(dataID, content string) (md5 string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(dataID, []byte(content))
}

// Publish implements config.Publisher.
func (s *Source) Publish(ctx context.Context, dataID string, content []byte, casMD5 string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case casMD5 != "" && s.documents[dataID].MD5 != casMD5:
		return fmt.Errorf("memory: publish %s: %w", dataID, config.ErrConflict)
	case ctx.Err() != nil:
		return fmt.Errorf("memory: publish %s: %w", dataID, context.Cause(ctx))
	}
	s.put(dataID, append([]byte(nil), content...))
	return nil
}

// put puts a document in place; s.mu is held.
func (s *Source) put(dataID string, content []byte) (md5 string) {
	doc := config.NewDoc(content)
	doc.At = time.Now()
	s.documents[dataID] = doc
	close(s.changed)
	s.changed = make(chan struct{})
	return doc.MD5
}

// Watch implements config.Source.
func (s *Source) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	doc, changed := s.document(dataID)
	first := doc
	first.At = time.Time{} // it did not change, it was there
	fn(first)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
		before := doc.MD5
		if doc, changed = s.document(dataID); doc.MD5 != before {
			fn(doc)
		}
	}
}

// Synced returns now: what watchers have is what is here.
func (s *Source) Synced(string) (time.Time, bool) { return time.Now(), true }

// document returns a document, and what is closed with the next change of any.
func (s *Source) document(dataID string) (config.Doc, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents[dataID], s.changed
}
