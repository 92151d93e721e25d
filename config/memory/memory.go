// Package memory is a source of documents inside the process: for unit tests and
// examples. It links nothing but the standard library and the parser of rules.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
)

// Source holds documents in memory. It is a config.Source; its methods may be called
// concurrently. The zero value is not usable, call New.
type Source struct {
	// mu guards what follows. Nothing is called under it.
	mu        sync.Mutex
	documents map[string]config.Doc
	changed   chan struct{} // closed, and replaced, with each change
}

// New returns a source of documents, by their data IDs; nil for none.
func New(documents map[string]string) *Source {
	s := &Source{documents: map[string]config.Doc{}, changed: make(chan struct{})}
	for id, content := range documents {
		s.documents[id] = config.NewDoc([]byte(content))
	}
	return s
}

// Set puts a document in place and returns its digest; an empty one takes it away.
// Watchers hear of it soon, from goroutines of their own.
func (s *Source) Set(dataID, content string) (md5 string) {
	doc := config.NewDoc([]byte(content))
	doc.At = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
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
