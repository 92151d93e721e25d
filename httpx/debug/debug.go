package debug

import (
	"cmp"
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// Setting is one value of the configuration, and who gave it.
type Setting = struct{ Name, Value, From string }

type options struct {
	remote   bool
	settings func() []Setting
}

// Option configures a Page.
type Option func(*options)

// WithRemote lets other machines see the page too. It has addresses and rules of
// services: put an authorization of your own before it.
func WithRemote() Option { return func(o *options) { o.remote = true } }

// WithSettings shows what fn returns, as (*graylane.Client).Settings does. It is
// called for each look at the page.
func WithSettings(fn func() []Setting) Option { return func(o *options) { o.settings = fn } }

// Page shows what a resolver that has its hooks knows. It is an http.Handler, for
// any path that ends in a slash, with http.StripPrefix or without. Its methods may
// be called concurrently.
type Page struct {
	options options
	pages   map[string]page
	began   time.Time // the slots of counters count from here

	views     views
	decisions ring
	said      said
	asked     atomic.Int64 // requests that were explained
}

// New returns a page. It starts nothing, and shows nothing before its hooks are in
// use.
func New(opts ...Option) *Page {
	p := &Page{began: time.Now(), pages: parsePages()}
	for _, opt := range opts {
		opt(&p.options)
	}
	return p
}

// Hooks returns what the page learns from, for graylane.WithHooks or
// resolver.WithHooks. OnPick and OnDone neither wait nor allocate. OnEvent and OnError,
// which the end of an attempt may call too if it ejects an instance or trips the guard,
// allocate a message, and take the lock of the messages to put it in its place.
func (p *Page) Hooks() resolver.Hooks {
	return resolver.Hooks{
		OnUpdate: p.views.update,
		OnPick:   p.pick,
		OnDone:   p.done,
		OnEvent:  p.event,
		OnError:  func(s registry.Service, err error) { p.said.add(errorKey(s, err), err.Error(), time.Now()) },
	}
}

func (p *Page) pick(_ context.Context, c resolver.Call, err error) {
	v := p.views.find(&c)
	if v != nil {
		v.count(&c, err, p.slot())
	}
	if err != nil {
		p.decisions.add(&c, v.target(&c), words.ReasonOf(err).String(), 0)
	}
}

func (p *Page) done(_ context.Context, c resolver.Call, o resolver.Outcome, took time.Duration) {
	p.decisions.add(&c, p.views.find(&c).target(&c), words.Result(c.Verdict(o)), took)
}

func (p *Page) event(e resolver.Event) {
	text := e.Kind.String()
	if who := cmp.Or(e.Target, e.Addr); who != "" {
		text += " " + who
	}
	if e.Instances > 0 {
		text += ", " + count(e.Instances, "instance")
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	p.said.add(saidKey{e.Kind, e.Service, cmp.Or(e.Target, e.Addr)}, text, time.Now())
}

// slot returns the slot of counters that now belongs to.
func (p *Page) slot() uint32 {
	return 1 + uint32(time.Since(p.began)/slotTime) //nolint:gosec // in 680 years
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guardBrowser(w.Header())
	if why := p.refused(r); why != "" {
		http.Error(w, "debug: "+why, http.StatusForbidden)
		return
	}
	p.serve(w, r)
}
