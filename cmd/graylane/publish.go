package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// release is a document on its way to the consumers.
type release struct {
	streams
	flags                              liveFlags
	wait                               time.Duration
	yes, dryRun, anyway, verbose, json bool

	n       *nacos
	id      string
	content []byte

	base      config.Doc                  // what is live, as it was when we began
	chosen    *config.Doc                 // what was live when content was chosen for it; nil: it was not
	docs      *following[config.Doc]      // what is live now
	announced *following[registry.Update] // by the consumers
	fleet     []consumer                  // as far as announced is read
}

// aftermath is how long we look, after a publish, what is live then.
const aftermath = 2 * time.Second

func (r *release) register(fs *flag.FlagSet) {
	r.flags.register(fs)
	fs.DurationVar(&r.wait, "wait", 10*time.Second, "")
	fs.BoolVar(&r.yes, "yes", false, "")
	fs.BoolVar(&r.dryRun, "dry-run", false, "")
	fs.BoolVar(&r.anyway, "anyway", false, "")
	fs.BoolVar(&r.verbose, "v", false, "")
	fs.BoolVar(&r.json, "json", false, "")
}

func publish(ctx context.Context, s streams, args []string) error {
	r := release{streams: s}
	fs := newFlags("publish")
	r.register(fs)
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(names) != 1:
		return unusable("want one document to publish, as gray.SERVICE.yaml; see graylane help publish")
	}
	if r.content, err = readDocument(names[0]); err != nil {
		return err
	}
	r.id = filepath.Base(names[0])
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.n.Close()
	return r.run(ctx)
}

// open connects, unless it is clear already that nothing will come of it.
func (r *release) open(ctx context.Context) (err error) {
	if !r.yes && !r.dryRun && !terminal(r.in) {
		return unusable("stdin is no terminal to ask at: add --yes, or --dry-run to see what would change")
	}
	r.n, err = r.flags.open(ctx)
	return err
}

// terminal reports whether somebody sits at the other end.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a device of characters too
	return err != nil || !os.SameFile(info, null)
}

// talk is where a person is told what goes on.
func (r *release) talk() io.Writer {
	if r.json {
		return r.err
	}
	return r.out
}

// run takes the document to the consumers, in the steps that an operator would take:
// look, check, ask, publish, wait.
func (r *release) run(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if err := r.look(watching); err != nil {
		return err
	}
	if r.chosen != nil && r.chosen.MD5 != r.base.MD5 {
		now := r.base
		r.base = *r.chosen
		return r.overtaken(now)
	}
	if err := r.check(); err != nil {
		return err
	}
	same := r.base.MD5 == r.md5()
	if same {
		fmt.Fprintf(r.talk(), "%s: revision %s is live already\n", r.id, revision(r.md5()))
	}
	began := time.Now()
	if !same {
		if err := r.show(); err != nil || r.dryRun {
			return err
		}
		if err := r.confirm(); err != nil {
			return err
		}
		began = time.Now()
		if err := r.publish(ctx); err != nil {
			return err
		}
		fmt.Fprintf(r.talk(), "%s: published revision %s\n", r.id, revision(r.md5()))
	}
	switch {
	case r.dryRun:
		return nil
	case r.announced != nil && r.wait > 0:
		return r.await(ctx, began)
	case r.announced == nil:
		fmt.Fprintf(r.talk(), "%s: nobody was waited for: consumers say only what they have applied of a service's rules\n", r.id)
	}
	if r.json {
		return r.reportJSON(&outcome{}, 0)
	}
	return nil
}

func (r *release) md5() string { return config.NewDoc(r.content).MD5 }

// look finds out what is live, and who consumes it.
func (r *release) look(watching context.Context) (err error) {
	r.docs = follow(watching, r.n, func(ctx context.Context, fn func(config.Doc)) error {
		return r.n.docs.Watch(ctx, r.id, fn)
	})
	if r.base, err = r.docs.first(r.n.ctx); err != nil {
		return r.n.explained(r.id, err, r.n.docs.Reason)
	}
	service := serviceOf(r.id)
	if service == "" {
		return nil
	}
	r.announced = follow(watching, r.n, func(ctx context.Context, fn func(registry.Update)) error {
		return r.n.naming.Watch(ctx, consumersOf(service), fn)
	})
	update, err := r.announced.first(r.n.ctx)
	if err != nil {
		return r.n.explained("consumers of "+service, err, r.n.naming.Reason)
	}
	r.fleet = consumers(update)
	return nil
}

// check says what keeps the document from being published.
func (r *release) check() error {
	l := linter{streams: streams{out: r.talk(), err: r.err}, nacos: r.n, snapshots: map[string]*registry.Snapshot{}}
	if err := l.check(r.id, r.content); err != nil {
		return err
	}
	if l.errors > 0 {
		return fmt.Errorf("%s has %s, and is not published", r.id, count(l.errors, "error"))
	}
	unable := lacking(r.fleet, needs(r.content))
	for _, who := range unable {
		fmt.Fprintln(r.talk(), explain.Safe(who))
	}
	if len(unable) > 0 && !r.anyway {
		return fmt.Errorf("%s is not published: %s cannot follow it; add --anyway, and they keep what they have",
			r.id, count(len(unable), "consumer"))
	}
	return nil
}

// lacking says which consumers would refuse a document for what their build lacks.
func lacking(fleet []consumer, needs []string) []string {
	var all []string
	for i := range fleet {
		c := &fleet[i]
		if c.Language != announce.Language {
			all = append(all, fmt.Sprintf("%s speaks %s of the rule language, and not %s",
				c.name(), versionOf(c.Language), announce.Language))
			continue
		}
		for _, need := range needs {
			if !slices.Contains(c.Features, need) {
				all = append(all, fmt.Sprintf("%s lacks %s, which the document needs", c.name(), explain.Plain(need)))
				break
			}
		}
	}
	return all
}

func versionOf(language string) string {
	if language == "" {
		return "an unknown version"
	}
	return explain.Plain(language)
}

// show prints what would change.
func (r *release) show() error {
	return r.diff("live, "+revision(r.base.MD5), "new, "+revision(r.md5()), r.content)
}

// diff prints how a text differs from what was live when we began.
func (r *release) diff(before, after string, text []byte) error {
	_, err := io.WriteString(r.talk(), explain.Safe(unified(r.id+" ("+before+")", r.id+" ("+after+")", r.base.Content, text)))
	return err
}

// confirm asks, unless that was answered by a flag.
func (r *release) confirm() error {
	if r.yes {
		return nil
	}
	fmt.Fprintf(r.err, "publish %s? [y/N] ", explain.Safe(r.id))
	answer, _ := bufio.NewReader(r.in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("not published")
	}
	return nil
}

// publish stores the document in the place of the one that we know, and of no other.
// Nacos guards the creation of a document by nothing, and an error does not say that
// nothing was stored: so we look what is live then.
func (r *release) publish(ctx context.Context) error {
	select {
	case now := <-r.docs.values:
		if now.MD5 != r.base.MD5 {
			return r.overtaken(now)
		}
	default:
	}
	r.n.again(ctx)
	if r.base.MD5 == "" { // which Nacos does not guard: the window is as small as we can make it
		now, err := r.n.document(r.id)
		if err != nil {
			return err
		}
		if now.MD5 != "" {
			return r.overtaken(now)
		}
	}
	err := r.n.docs.Publish(r.n.ctx, r.id, r.content, r.base.MD5)
	look, cancel := context.WithTimeout(ctx, aftermath)
	defer cancel()
	for {
		now, unseen := r.docs.first(look)
		switch {
		case unseen == nil && now.MD5 == r.base.MD5: // from before
			continue
		case unseen == nil && now.MD5 != r.md5():
			return r.overtaken(now)
		case err != nil && unseen != nil:
			return fmt.Errorf("not published, or it is shown late: %w", err)
		}
		return nil // what was accepted may be shown late
	}
}

// overtaken says what somebody else has published.
func (r *release) overtaken(now config.Doc) error {
	if err := r.diff("as it was, "+revision(r.base.MD5), "now, "+revision(now.MD5), now.Content); err != nil {
		return err
	}
	return fmt.Errorf("somebody else has changed %s meanwhile; it has revision %s now: look at that, and try again", r.id, revision(now.MD5))
}
