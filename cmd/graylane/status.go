package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/announce"
	"github.com/graylane/graylane/internal/explain"
)

// fleet is who consumes a service, and what is live for them.
type fleet struct {
	service       string
	rules, global config.Doc
	consumers     []consumer
}

const nobody = "no consumer says that it consumes this\n"

func status(ctx context.Context, s streams, args []string) error {
	var live liveFlags
	var asJSON bool
	fs := newFlags("status")
	live.register(fs)
	fs.BoolVar(&asJSON, "json", false, "")
	service, err := parseService(fs, args)
	if err != nil {
		return err
	}
	n, err := live.open(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	f, err := n.fleet(service)
	if err != nil {
		return err
	}
	if asJSON {
		err = f.json(s.out)
	} else {
		err = f.table(s.out)
	}
	switch {
	case err != nil:
		return err
	case f.rules.State == config.Absent && len(f.consumers) == 0:
		return fmt.Errorf("nobody consumes %s, and it has no rules: is that its name?", explain.Plain(service))
	case len(f.laggards()) > 0:
		return &exitError{code: exitFailed}
	}
	return nil
}

// fleet reads who consumes a service.
func (n *nacos) fleet(service string) (*fleet, error) {
	f := &fleet{service: service}
	for id, doc := range map[string]*config.Doc{config.ServiceDocID(service): &f.rules, config.GlobalDocID: &f.global} {
		var err error
		if *doc, err = n.document(id); err != nil {
			return nil, err
		}
	}
	update, err := n.list(consumersOf(service), "consumers of "+service)
	f.consumers = consumers(update)
	return f, err
}

// standing is how a consumer stands to both documents together, and why.
func (f *fleet) standing(c *consumer) (standing, []string) {
	worst := applied
	var reasons []string
	add := func(id string, a announce.Applied, md5 string) {
		state := stands(a, md5)
		if worst == applied {
			worst = state
		}
		if state != applied {
			reasons = append(reasons, why(id, a, md5))
		}
	}
	add(config.ServiceDocID(f.service), c.Rules, f.rules.MD5)
	add(config.GlobalDocID, c.Global, f.global.MD5)
	return worst, reasons
}

// laggards says who does not follow, and why.
func (f *fleet) laggards() []string {
	var all []string
	for i := range f.consumers {
		c := &f.consumers[i]
		if _, reasons := f.standing(c); len(reasons) > 0 {
			all = append(all, c.name()+": "+strings.Join(reasons, "; "))
		}
	}
	return all
}

// table prints the fleet for a person.
func (f *fleet) table(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %s\n", config.ServiceDocID(f.service), revision(f.rules.MD5))
	if f.global.State == config.Present {
		fmt.Fprintf(&text, "%s  %s\n", config.GlobalDocID, revision(f.global.MD5))
	}
	if len(f.consumers) > 0 {
		text.WriteString("\n")
		w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "STATE\tREVISION\tTOOK\tCONSUMER\tHOST\tPID\tIP\tBOOT")
		for i := range f.consumers {
			c := &f.consumers[i]
			state, _ := f.standing(c)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", state, revision(c.Rules.MD5), latency(c.Took), c.self(), c.host(), c.PID, c.ip, c.boot())
		}
		_ = w.Flush() // to memory
	}
	late := f.laggards()
	if len(f.consumers) == 0 {
		text.WriteString(nobody)
	} else {
		fmt.Fprintf(&text, "\n%d of %s follow\n", len(f.consumers)-len(late), count(len(f.consumers), "consumer"))
	}
	for _, l := range late {
		fmt.Fprintf(&text, "not: %s\n", l)
	}
	if _, err := io.WriteString(out, explain.Safe(text.String())); err != nil {
		return err
	}
	return f.problems(out)
}

// problems prints what is wrong with each refused document: consumers announce only the
// code of the first problem.
func (f *fleet) problems(out io.Writer) error {
	var rules, global bool // refused
	for i := range f.consumers {
		c := &f.consumers[i]
		rules = rules || stands(c.Rules, f.rules.MD5) == refused
		global = global || stands(c.Global, f.global.MD5) == refused
	}
	if rules {
		if err := printProblems(out, config.ServiceDocID(f.service), f.rules.Content); err != nil {
			return err
		}
	}
	if global {
		return printProblems(out, config.GlobalDocID, f.global.Content)
	}
	return nil
}

// mostProblems is how many problems of a document status prints; lint prints all.
const mostProblems = 10

// printProblems prints the first errors of a document.
func printProblems(out io.Writer, name string, content []byte) error {
	problems, err := config.Lint(name, content, nil)
	if err != nil {
		return err
	}
	problems = slices.DeleteFunc(problems, func(p config.Problem) bool { return p.Severity != config.Error })
	if len(problems) == 0 {
		_, err = fmt.Fprintf(out, "\n%s: this graylane finds nothing wrong with it; is that of the consumer older?\n", name)
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	for _, p := range problems[:min(len(problems), mostProblems)] {
		if err := printProblem(out, p, content); err != nil {
			return err
		}
	}
	if more := len(problems) - mostProblems; more > 0 {
		_, err = fmt.Fprintf(out, "%s: %d more; see graylane lint --nacos\n", name, more)
	}
	return err
}

// wireConsumer is a consumer as JSON.
type wireConsumer struct {
	State    standing `json:"state"`
	Why      []string `json:"why,omitempty"`
	Revision string   `json:"revision"` // how much of it is announced
	Refused  string   `json:"refused,omitempty"`
	Code     string   `json:"code,omitempty"`
	Global   string   `json:"global"`
	TookMS   float64  `json:"took_ms"`           // 0: not pushed
	SeenMS   float64  `json:"seen_ms,omitempty"` // of a publish: from it to our hearing of this
	Service  string   `json:"service"`
	Version  string   `json:"version"`
	Host     string   `json:"host"`
	PID      int      `json:"pid"`
	Boot     string   `json:"boot"`
	IP       string   `json:"ip"`
	Language string   `json:"language"`
	Features []string `json:"features"`
}

func (c *consumer) wire(state standing, why []string) wireConsumer {
	return wireConsumer{
		State: state, Why: why,
		Revision: c.Rules.MD5, Refused: c.Rules.Refused, Code: c.Rules.Code, Global: c.Global.MD5,
		TookMS:  milliseconds(c.Took),
		Service: c.Service, Version: c.Version, Host: c.Host, PID: c.PID, Boot: c.Boot, IP: c.ip,
		Language: c.Language, Features: append([]string{}, c.Features...),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (f *fleet) json(out io.Writer) error {
	wire := struct {
		Service   string         `json:"service"`
		Revision  string         `json:"revision"`
		Global    string         `json:"global"`
		Follow    int            `json:"follow"`
		Consumers []wireConsumer `json:"consumers"`
	}{f.service, f.rules.MD5, f.global.MD5, len(f.consumers) - len(f.laggards()), []wireConsumer{}}
	for i := range f.consumers {
		state, reasons := f.standing(&f.consumers[i])
		wire.Consumers = append(wire.Consumers, f.consumers[i].wire(state, reasons))
	}
	return writeJSON(out, wire)
}
