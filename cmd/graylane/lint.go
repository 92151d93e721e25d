package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// linter is one run of graylane lint.
type linter struct {
	streams
	flags     liveFlags
	json      bool
	instances text // file of instances
	nacos     *nacos
	snapshots map[string]*registry.Snapshot // by service, as far as known

	documents, errors, warnings int
	unread                      bool // a document could not be read
}

func lint(ctx context.Context, s streams, args []string) error {
	l := linter{streams: s, snapshots: map[string]*registry.Snapshot{}}
	fs := newFlags("lint")
	l.flags.register(fs)
	fs.BoolVar(&l.json, "json", false, "")
	fs.Var(&l.instances, "instances", "")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return unusable("no document to check; see graylane help lint")
	}
	if l.flags.asked() {
		if l.nacos, err = l.flags.open(ctx); err != nil {
			return err
		}
		defer l.nacos.Close()
		for i, name := range names {
			names[i] = dataID(name)
		}
	}
	if err := l.readInstances(names); err != nil {
		return err
	}
	return l.lint(names)
}

// dataID returns the data ID of a document; a plain name is a service's.
func dataID(name string) string {
	if strings.HasSuffix(name, ".yaml") {
		return name
	}
	return config.ServiceDocID(name)
}

// serviceOf returns the service whose rule document has this name, "" if it is
// no such document.
func serviceOf(name string) string {
	base := path.Base(filepath.ToSlash(name))
	service := strings.TrimSuffix(strings.TrimPrefix(base, "gray."), ".yaml")
	if base == config.GlobalDocID || base != config.ServiceDocID(service) {
		return ""
	}
	return service
}

// readInstances reads the file of instances, if there is one. It holds those of
// one service, so it says nothing about another's targets.
func (l *linter) readInstances(names []string) error {
	if l.instances == "" {
		return nil
	}
	var services []string
	for _, name := range names {
		if s := serviceOf(name); s != "" && !slices.Contains(services, s) {
			services = append(services, s)
		}
	}
	if len(services) > 1 {
		return unusable("--instances holds those of one service, and the documents are of %s", strings.Join(services, ", "))
	}
	snap, err := readInstances(string(l.instances), strings.Join(services, ""))
	if err == nil && len(services) == 1 {
		l.snapshots[services[0]] = snap
	}
	return err
}

// lint checks all documents. One that cannot be read keeps nobody from the others.
func (l *linter) lint(names []string) error {
	for _, name := range names {
		err := l.document(name)
		var e *exitError
		switch {
		case err == nil:
		case errors.As(err, &e) && e.code == exitUsage:
			l.unread = true
			report(l.err, "lint", err)
		default:
			return err
		}
	}
	l.summary()
	switch {
	case l.unread:
		return &exitError{code: exitUsage}
	case l.errors > 0:
		return &exitError{code: exitFailed}
	}
	return nil
}

// document reads one document and checks it.
func (l *linter) document(name string) error {
	content, err := l.read(name)
	if err != nil {
		return err
	}
	return l.check(name, content)
}

// check checks the content of a document and prints its problems.
func (l *linter) check(name string, content []byte) error {
	there, err := l.there(serviceOf(name))
	if err != nil {
		return err
	}
	problems, err := config.Lint(filepath.ToSlash(name), content, there)
	if err != nil {
		return unusable("%s: not the name of a document, as gray.SERVICE.yaml; see graylane help lint", name)
	}
	l.documents++
	for _, p := range problems {
		p.File = name
		if p.Severity == config.Warning {
			l.warnings++
		} else {
			l.errors++
		}
		if err := l.print(p, content); err != nil {
			return err
		}
	}
	return nil
}

func (l *linter) read(name string) ([]byte, error) {
	if l.nacos == nil {
		return readDocument(name)
	}
	doc, err := l.nacos.document(name)
	if err == nil && doc.State == config.Absent {
		err = unusable("%s: there is no such document in the group %s, or an empty one", name, l.flags.group)
	}
	return doc.Content, err
}

// there returns what knows whether a service has instances with some labels; nil
// if its instances are not known.
func (l *linter) there(service string) (func(labels map[string]string) bool, error) {
	if service == "" {
		return nil, nil //nolint:nilnil // nobody knows
	}
	snap, ok := l.snapshots[service]
	switch {
	case !ok && l.nacos == nil:
		return nil, nil //nolint:nilnil // nobody knows
	case !ok:
		var err error
		if snap, err = l.nacos.instances(service); err != nil {
			return nil, err
		}
		l.snapshots[service] = snap
	}
	return func(labels map[string]string) bool {
		for _, in := range snap.All() {
			if balancer.Belongs(in, labels) {
				return true
			}
		}
		return false
	}, nil
}

// wireProblem is a problem as one line of JSON.
type wireProblem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Col      int    `json:"col"`
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

func (l *linter) print(p config.Problem, content []byte) error {
	if l.json {
		return writeJSON(l.out, wireProblem{p.File, p.Line, p.Col, p.Code, p.Severity.String(), p.Message})
	}
	return printProblem(l.out, p, content)
}

// printProblem prints a problem for a person, with the line that it is about.
func printProblem(out io.Writer, p config.Problem, content []byte) error {
	if p.Severity == config.Warning {
		p.Message = "warning: " + p.Message
	}
	text := p.String() + "\n"
	if excerpt := p.Excerpt(content); excerpt != "" {
		text += excerpt + "\n"
	}
	_, err := io.WriteString(out, explain.Safe(text))
	return err
}

// writeJSON writes a value as one line.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// summary tells a person how it went.
func (l *linter) summary() {
	if l.json || l.documents == 0 {
		return
	}
	found := "no problem"
	if l.errors > 0 || l.warnings > 0 {
		found = count(l.errors, "error") + ", " + count(l.warnings, "warning")
	}
	fmt.Fprintf(l.err, "graylane lint: %s in %s\n", found, count(l.documents, "document"))
}

// count returns "1 error", "2 errors".
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
