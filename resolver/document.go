package resolver

import (
	"context"
	"fmt"

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
}

// watch calls fn with the version in force (nil: none was ever accepted) when the
// source has answered, and after each change, until ctx ends. It calls fn with nil
// if the source can never answer. All calls come from one goroutine.
func (d *document[T]) watch(ctx context.Context, fn func(*T)) {
	answered := false
	err := d.resolver.source.Watch(ctx, d.id, func(doc config.Doc) {
		if changed := d.take(doc); changed || !answered {
			answered = true
			fn(d.accepted)
		}
	})
	if ctx.Err() != nil {
		return
	}
	d.report(fmt.Errorf("resolver: the watch of %s ended: %w", d.id, err))
	if !answered {
		d.report(fmt.Errorf("%w: %s", ErrNoDocument, d.id))
		fn(nil)
	}
}

// take takes what the source says of the document and reports whether another
// version is in force.
func (d *document[T]) take(doc config.Doc) bool {
	switch {
	case doc.State == config.Absent:
		if d.accepted != nil && d.resolver.complain(d.id, "gone") {
			d.report(fmt.Errorf("%w: %s", ErrDocumentGone, d.id))
		}
		return false
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
		if d.resolver.complain(d.id, doc.MD5) {
			d.report(&RefusedError{DataID: d.id, MD5: doc.MD5, Problems: problems})
		}
		return false
	}
	d.accepted, d.md5, d.refused = parsed, doc.MD5, ""
	d.resolver.complain(d.id, "")
	return true
}

func (d *document[T]) report(err error) { d.resolver.options.hooks.err(d.service, err) }
