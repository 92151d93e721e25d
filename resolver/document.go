package resolver

import (
	"context"
	"fmt"
	"sync"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
)

// document follows one document. Only an accepted version replaces one: what is
// refused, deleted or empty is reported, and the last good version stays.
type document[T any] struct {
	resolver *Resolver
	service  registry.Service // whom reports are about; zero for all services
	id       string
	parse    func(content []byte) (*T, config.Problems)

	accepted *T
	md5      string // of accepted
	refused  string // md5 of the version refused last

	// earlier is the last good version of a process before this one, from the cache:
	// what stays in force if the first version that this process sees is refused, or
	// gone.
	earlier    *T
	earlierMD5 string
	recalled   bool // the cache knows, if only that there was none
}

// watch calls fn with the version in force (nil: none was ever accepted) when the
// source has answered, and after each change, until ctx ends. If the source is away it
// calls fn with the version of an earlier process before that; if it can never answer,
// with nil. It makes one call at a time.
func (d *document[T]) watch(ctx context.Context, fn func(*T)) {
	d.recall()
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex // guards answered, and calls of fn
	answered, known := false, make(chan struct{})
	answer := func(v *T, changed bool) {
		mu.Lock()
		defer mu.Unlock()
		if !answered {
			answered = true
			close(known)
		} else if !changed {
			return
		}
		fn(v)
	}
	if earlier := d.earlier; d.recalled {
		wg.Go(func() {
			if !away(ctx, d.resolver.source, known) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !answered {
				fn(earlier)
			}
		})
	}
	err := d.resolver.source.Watch(ctx, d.id, func(doc config.Doc) {
		changed := d.take(doc)
		answer(d.accepted, changed)
	})
	if ctx.Err() != nil {
		return
	}
	d.report(fmt.Errorf("resolver: the watch of %s ended: %w", d.id, err))
	mu.Lock()
	never := !answered
	mu.Unlock()
	if never {
		d.report(fmt.Errorf("%w: %s", ErrNoDocument, d.id))
		d.fallBack()
		answer(d.accepted, true)
	}
}

// take takes what the source says of the document and reports whether another
// version is in force.
func (d *document[T]) take(doc config.Doc) bool {
	switch {
	case doc.State == config.Absent:
		fell := d.fallBack()
		if d.accepted != nil && d.resolver.complain(d.id, "gone") {
			d.report(fmt.Errorf("%w: %s", ErrDocumentGone, d.id))
		}
		if d.accepted == nil {
			d.save(config.Doc{})
		}
		return fell
	case d.accepted != nil && doc.MD5 == d.md5:
		d.refused = ""
		d.resolver.complain(d.id, "")
		return false
	case doc.MD5 == d.refused:
		return false
	}
	parsed, problems := d.parse(doc.Content)
	if parsed == nil {
		d.refused = doc.MD5
		fell := d.fallBack()
		if d.resolver.complain(d.id, doc.MD5) {
			d.report(&RefusedError{DataID: d.id, MD5: doc.MD5, Problems: problems, LastGood: d.md5})
		}
		return fell
	}
	d.accepted, d.md5, d.refused = parsed, doc.MD5, ""
	d.resolver.complain(d.id, "")
	d.save(doc)
	return true
}

func (d *document[T]) save(doc config.Doc) {
	if err := d.resolver.cached.saveDocument(d.id, doc); err != nil {
		d.report(err)
	}
}

// fallBack puts the version of an earlier process in force if this one has none, and
// reports whether it did.
func (d *document[T]) fallBack() bool {
	if d.accepted != nil || d.earlier == nil {
		return false
	}
	d.accepted, d.md5 = d.earlier, d.earlierMD5
	return true
}

func (d *document[T]) report(err error) { d.resolver.options.hooks.err(d.service, err) }
