package resolver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// DocStatus says which version of a document is in force, and what became of a newer one.
type DocStatus struct {
	DataID string
	// MD5 is the digest of the version in force, "" if none was ever accepted.
	MD5 string
	// Since is when this process put it in force; zero if MD5 is empty.
	Since time.Time
	// Took is how long that took from the moment that the source of documents was told of
	// the change; 0 if it was not, as of the version that was there at the start.
	Took time.Duration
	// Cached: the version is of an earlier process, from the disk cache.
	Cached bool
	// Gone: the source says that there is no such document.
	Gone bool
	// Refused is why the source's version is not in force, nil if it is.
	Refused *RefusedError

	noticed time.Time
}

// inForce returns the status of a version that is put in force now, after another one.
func (s DocStatus) inForce(before *DocStatus, now time.Time) DocStatus {
	switch s.MD5 {
	case "":
	case before.MD5:
		s.Since, s.Took = before.Since, before.Took
	default:
		s.Since = now
		if !s.noticed.IsZero() {
			s.Took = max(now.Sub(s.noticed), 0)
		}
	}
	return s
}

// version is a version of a document, nil for none, and its status.
type version[T any] struct {
	doc    *T
	status DocStatus
}

// document follows one document. Only an accepted version replaces one: what is
// refused, deleted or empty is reported, and the last good version stays.
type document[T any] struct {
	resolver *Resolver
	service  registry.Service // whom reports are about; zero for all services
	id       string
	parse    func(content []byte) (*T, config.Problems)

	fn    func(version[T])
	known chan struct{} // closed with the first answer

	mu       sync.Mutex  // guards what follows, and calls of fn
	pending  *config.Doc // what the source says, until it is taken
	over     bool        // the source can never answer
	answered bool
	accepted *T
	cached   bool          // accepted is of an earlier process
	noticed  time.Time     // when the source was told of accepted
	md5      string        // of accepted
	refused  *RefusedError // the version that the source has; nil: it is not refused
	gone     bool          // the source says that there is none

	// earlier is the last good version of a process before this one, from the cache:
	// what stays in force if the first version that this process sees is refused, or
	// gone.
	earlier    *T
	earlierDoc config.Doc
	waiting    bool // for the cache, before a first version that is no good is taken
	loaded     bool // the cache has said what it has
	stored     bool // and has something
}

// watch calls fn with the version in force (nil: none was ever accepted) when the
// source has answered, and after each change, until ctx ends. If the source is away it
// calls fn with the version of an earlier process before that; if it can never answer,
// with nil. It makes one call at a time.
func (d *document[T]) watch(ctx context.Context, fn func(version[T])) {
	defer d.resolver.cached.forget(d)
	var wg sync.WaitGroup
	defer wg.Wait()
	d.fn, d.known = fn, make(chan struct{})
	if !d.resolver.cached.none() {
		d.waiting = true
		wg.Go(func() { d.recall(ctx) })
	}
	err := d.resolver.source.Watch(ctx, d.id, func(doc config.Doc) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.pending = &doc
		d.settle()
	})
	if ctx.Err() != nil {
		return
	}
	d.report(fmt.Errorf("resolver: the watch of %s ended: %w", d.id, err))
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.answered && d.pending == nil {
		d.report(fmt.Errorf("%w: %s", ErrNoDocument, d.id))
		d.over = true
		d.settle()
	}
}

// recall brings what the cache has. How long that takes is nobody's business: the source
// is not waited for, and waits for recallWait only if it has nothing good.
func (d *document[T]) recall(ctx context.Context) {
	loading := d.resolver.cached.load(ctx, docKey(d.id))
	var e entry
	select {
	case e = <-loading:
	case <-ctx.Done():
		return
	case <-time.After(recallWait):
		d.goOn()
		select {
		case e = <-loading:
		case <-ctx.Done():
			return
		}
	}
	doc, ok := e.document()
	var earlier *T
	if ok && len(doc.Content) > 0 {
		earlier, _ = d.parse(doc.Content)
		ok = earlier != nil
	}
	d.remember(e.ok, doc, earlier)
	if !ok || !away(ctx, d.resolver.source, d.known) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.answered {
		d.fn(version[T]{earlier, DocStatus{DataID: d.id, MD5: doc.MD5, Cached: true}})
	}
}

// goOn goes on without the cache.
func (d *document[T]) goOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = false
	d.settle()
}

// remember takes what the cache has, in time for the first answer or after it.
func (d *document[T]) remember(stored bool, doc config.Doc, earlier *T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.earlier, d.earlierDoc = earlier, doc
	d.waiting, d.loaded, d.stored = false, true, stored
	late := d.answered
	d.settle()
	switch {
	case !late:
	case d.fallBack():
		d.fn(d.current())
	case d.gone:
		d.saveAbsent()
	}
}

// settle answers as far as the source has, unless there is only something no good and
// the cache may have better.
func (d *document[T]) settle() {
	switch {
	case d.waiting && (d.pending == nil || !d.good(d.pending)):
	case d.pending != nil:
		doc := *d.pending
		d.pending = nil
		d.answer(d.take(doc))
	case d.over && !d.answered:
		d.fallBack()
		d.answer(true)
	}
}

// good reports whether there is a version in force after this one without the cache.
func (d *document[T]) good(doc *config.Doc) bool {
	if d.accepted != nil || doc.State == config.Absent {
		return d.accepted != nil
	}
	parsed, _ := d.parse(doc.Content)
	return parsed != nil
}

func (d *document[T]) answer(changed bool) {
	if !d.answered {
		d.answered = true
		close(d.known)
	} else if !changed {
		return
	}
	d.fn(d.current())
}

// current is what is in force.
func (d *document[T]) current() version[T] {
	return version[T]{d.accepted, DocStatus{
		DataID: d.id, MD5: d.md5, Cached: d.cached, Gone: d.gone, Refused: d.refused, noticed: d.noticed,
	}}
}

// take takes what the source says of the document and reports whether that changes
// anything: the version in force, or what there is to say of it.
func (d *document[T]) take(doc config.Doc) bool {
	was, refused := d.gone, d.refused
	d.gone = doc.State == config.Absent
	switch {
	case d.gone:
		d.refused = nil
		fell := d.fallBack()
		if d.accepted != nil && d.resolver.complain(d.id, "gone") {
			d.report(fmt.Errorf("%w: %s", ErrDocumentGone, d.id))
		}
		d.saveAbsent()
		return fell || !was || refused != nil
	case d.accepted != nil && doc.MD5 == d.md5:
		news := was || refused != nil || d.cached
		d.refused, d.cached = nil, false
		d.resolver.complain(d.id, "")
		return news
	case d.refused != nil && doc.MD5 == d.refused.MD5:
		return was
	}
	parsed, problems := d.parse(doc.Content)
	if parsed == nil {
		d.fallBack()
		d.refused = &RefusedError{DataID: d.id, MD5: doc.MD5, Content: doc.Content, Problems: problems, LastGood: d.md5}
		if d.resolver.complain(d.id, doc.MD5) {
			d.report(d.refused)
		}
		return true
	}
	d.accepted, d.md5, d.refused, d.cached, d.noticed = parsed, doc.MD5, nil, false, doc.At
	d.resolver.complain(d.id, "")
	d.save(doc)
	return true
}

func (d *document[T]) save(doc config.Doc) {
	d.resolver.cached.keepDocument(d, kept{service: d.service, key: docKey(d.id)}, doc)
}

// saveAbsent has it saved that there is no document, once it is clear that this replaces
// no good one. For the rules of a service that is not known that is saved only in place
// of something: its name may be one that a caller made up.
func (d *document[T]) saveAbsent() {
	if d.accepted != nil || !d.loaded {
		return
	}
	rules := d.id == config.ServiceDocID(d.service.Name)
	d.resolver.cached.keepDocument(d, kept{service: d.service, key: docKey(d.id), ifKnown: rules && !d.stored}, config.Doc{})
}

// fallBack puts the version of an earlier process in force if this one has none, and
// reports whether it did.
func (d *document[T]) fallBack() bool {
	if d.accepted != nil || d.earlier == nil {
		return false
	}
	d.accepted, d.md5, d.cached = d.earlier, d.earlierDoc.MD5, true
	d.save(d.earlierDoc)
	return true
}

func (d *document[T]) report(err error) { d.resolver.options.hooks.err(d.service, err) }
