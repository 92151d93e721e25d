package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/registry"
)

// explainer is one run of graylane explain.
type explainer struct {
	streams
	flags                          liveFlags
	service, rulesFile, globalFile text
	instancesFile, requestsFile    text
	againstFile, defaultVersion    text
	protocol                       text
	json                           bool

	rulesFrom, globalFrom, instancesFrom string // for people

	before, after *directors // with the rules, and with those of --against
	global        *config.Global
	snapshot      *registry.Snapshot
	instances     int // of whatever protocol
}

func explainRequests(ctx context.Context, s streams, args []string) error {
	e := explainer{streams: s}
	fs := newFlags("explain")
	e.flags.register(fs)
	fs.BoolVar(&e.json, "json", false, "")
	for name, value := range map[string]*text{
		"service": &e.service, "rules": &e.rulesFile, "global": &e.globalFile,
		"instances": &e.instancesFile, "requests": &e.requestsFile,
		"against": &e.againstFile, "default-version": &e.defaultVersion,
		"protocol": &e.protocol,
	} {
		fs.Var(value, name, "")
	}
	rest, err := parse(fs, args)
	if err == nil {
		err = e.check(rest)
	}
	if err == nil {
		err = e.load(ctx)
	}
	if err != nil {
		return err
	}
	if e.after != nil {
		return e.compare()
	}
	return e.each()
}

func (e *explainer) check(rest []string) error {
	const see = "; see graylane help explain"
	switch {
	case len(rest) > 0:
		return unusable("%q: explain takes flags alone, as --rules FILE"+see, rest[0])
	case e.service == "":
		return unusable("--service NAME is missing" + see)
	case e.protocol != "" && e.protocol != "http" && e.protocol != "grpc":
		return unusable("--protocol %s: it is http or grpc"+see, explain.Plain(string(e.protocol)))
	case e.requestsFile == "":
		return unusable("--requests FILE is missing" + see)
	case e.instancesFile == "" && !e.flags.asked():
		return unusable("--instances FILE is missing, or --nacos ADDR for what is live" + see)
	}
	return nil
}

// load reads everything but the requests.
func (e *explainer) load(ctx context.Context) error {
	var live *nacos
	if e.flags.asked() {
		var err error
		if live, err = e.flags.open(ctx); err != nil {
			return err
		}
		defer live.Close()
	}
	rules, err := e.loadRules(live)
	if err != nil {
		return err
	}
	if err := e.loadGlobal(live); err != nil {
		return err
	}
	if err := e.loadInstances(live); err != nil {
		return err
	}
	if live != nil && rules == nil && e.instances == 0 {
		return fmt.Errorf("%s has no instances and no rules: is that its name?", explain.Plain(string(e.service)))
	}
	e.before = e.directors(rules)
	if e.againstFile == "" {
		return nil
	}
	content, err := readDocument(string(e.againstFile))
	if err == nil {
		rules, err = e.parseRules(string(e.againstFile), content)
	}
	e.after = e.directors(rules)
	return err
}

// content returns a document: that of a file or else, if Nacos was asked, the one
// that is live. Nil: there is none.
func (e *explainer) content(file text, live *nacos, dataID string) (name string, content []byte, err error) {
	switch {
	case file != "":
		content, err = readDocument(string(file))
		return string(file), content, err
	case live == nil:
		return "", nil, nil
	}
	doc, err := live.document(dataID)
	return dataID, doc.Content, err
}

func (e *explainer) loadRules(live *nacos) (*config.Rules, error) {
	name, content, err := e.content(e.rulesFile, live, config.ServiceDocID(string(e.service)))
	if err != nil {
		return nil, err
	}
	if content == nil {
		e.rulesFrom = "none"
		if live != nil {
			e.rulesFrom = "none; consumers that had some keep them, see graylane status"
		}
		return nil, nil //nolint:nilnil // it is explained as without one
	}
	e.rulesFrom = name
	return e.parseRules(name, content)
}

func (e *explainer) parseRules(name string, content []byte) (*config.Rules, error) {
	rules, problems := config.ParseRules(name, string(e.service), content)
	return rules, e.refused(name, problems, content)
}

func (e *explainer) loadGlobal(live *nacos) error {
	name, content, err := e.content(e.globalFile, live, config.GlobalDocID)
	if err != nil {
		return err
	}
	e.globalFrom = "none"
	if content == nil {
		return nil
	}
	e.globalFrom = name
	var problems config.Problems
	e.global, problems = config.ParseGlobal(name, content)
	return e.refused(name, problems, content)
}

// refused tells of a document's problems, as lint does, if it is refused. Stdout
// is for answers.
func (e *explainer) refused(name string, problems config.Problems, content []byte) error {
	if problems.Err() == nil {
		return nil
	}
	for _, p := range problems {
		if err := printProblem(e.err, p, content); err != nil {
			return err
		}
	}
	return errors.New(name + ": the document is refused")
}

func (e *explainer) loadInstances(live *nacos) (err error) {
	var all *registry.Snapshot
	if e.instancesFile != "" {
		e.instancesFrom = string(e.instancesFile)
		all, err = readInstances(string(e.instancesFile), string(e.service))
	} else {
		e.instancesFrom = "Nacos"
		all, err = live.instances(string(e.service))
	}
	if err != nil {
		return err
	}
	var speaking []registry.Instance
	for _, in := range all.All() {
		if in.Speaks(string(e.protocol)) {
			speaking = append(speaking, *in)
		}
	}
	e.instances = all.Len()
	e.snapshot = registry.NewSnapshot(all.Service(), 0, speaking)
	return nil
}

// requests calls fn with every request, in order.
func (e *explainer) requests(fn func(r *explain.Request) error) error {
	name, in := "stdin", e.in
	if e.requestsFile != "-" {
		name = string(e.requestsFile)
		f, err := open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return eachRequest(name, in, fn)
}

// eachRequest calls fn with every request of a file. An error of fn ends it.
func eachRequest(name string, in io.Reader, fn func(r *explain.Request) error) error {
	index := 0
	return eachLine(name, in, func(line []byte) error {
		r, err := explain.ParseRequest(line, index)
		if err != nil {
			return err
		}
		index++
		if err := fn(r); err != nil {
			return &exitError{exitFailed, err}
		}
		return nil
	})
}

// each answers request by request.
func (e *explainer) each() error {
	if !e.json {
		if _, err := io.WriteString(e.out, e.heading()); err != nil {
			return err
		}
	}
	return e.requests(func(r *explain.Request) error {
		d := e.before.of(r)
		if e.json {
			return writeJSON(e.out, d.Answer(r))
		}
		_, err := io.WriteString(e.out, "\n"+d.Text(r))
		return err
	})
}

// maxDirectors is for how many callers directors are kept.
const maxDirectors = 256

// directors decide by one version of the rules, as seen by each caller.
type directors struct {
	build    func(caller map[string]string) *explain.Director
	byCaller map[string]*explain.Director
}

func (e *explainer) directors(rules *config.Rules) *directors {
	return &directors{
		byCaller: map[string]*explain.Director{},
		build: func(caller map[string]string) *explain.Director {
			return explain.NewDirector(balancer.Build(rules, e.global, e.snapshot,
				balancer.Options{DefaultVersion: string(e.defaultVersion), Caller: caller}, nil), rules)
		},
	}
}

// of returns the director of a request's caller.
func (ds *directors) of(r *explain.Request) *explain.Director {
	key, _ := json.Marshal(r.Caller()) // Sorted; strings never fail.
	d, ok := ds.byCaller[string(key)]
	if !ok {
		if len(ds.byCaller) == maxDirectors {
			clear(ds.byCaller)
		}
		d = ds.build(r.Caller())
		ds.byCaller[string(key)] = d
	}
	return d
}
