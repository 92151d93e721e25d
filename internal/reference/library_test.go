package reference

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
)

// library is the library, built for one case.
type library struct {
	rules    *config.Rules
	snap     *registry.Snapshot
	director *balancer.Director
}

// newLibrary gives the library a case to read; the requests are left out.
func newLibrary(c *Case) (*library, error) {
	rules, global, err := parse(c)
	if err != nil {
		return nil, err
	}
	return build(c, rules, global), nil
}

func parse(c *Case) (rules *config.Rules, global *config.Global, err error) {
	var problems config.Problems
	if c.Document != nil {
		text := c.Document.YAML()
		rules, problems = config.ParseRules("gray."+c.Service+".yaml", c.Service, []byte(text))
		if err := problems.Err(); err != nil {
			return nil, nil, fmt.Errorf("%w\n%s", err, text)
		}
	}
	if c.Global != nil {
		text := c.Global.YAML()
		global, problems = config.ParseGlobal(config.GlobalDocID, []byte(text))
		if err := problems.Err(); err != nil {
			return nil, nil, fmt.Errorf("%w\n%s", err, text)
		}
	}
	return rules, global, nil
}

// build puts a case's instances under rules.
func build(c *Case, rules *config.Rules, global *config.Global) *library {
	list := make([]registry.Instance, 0, len(c.Instances))
	for _, in := range c.Instances {
		out := registry.NewInstance(in.Addr)
		out.ID = "" // NewSnapshot fills it in, with the cluster.
		out.Weight, out.Healthy, out.Enabled = registry.Weight(in.Weight), in.Healthy, in.Enabled
		out.Cluster, out.Metadata = in.Cluster, maps.Clone(in.Metadata)
		list = append(list, out)
	}
	snap := registry.NewSnapshot(registry.Service{Name: c.Service}, 1, list)
	o := balancer.Options{Caller: c.Caller, DefaultVersion: c.DefaultVersion}
	return &library{rules: rules, snap: snap, director: balancer.Build(rules, global, snap, o, nil)}
}

// decide returns the library's answer. An error that no answer has a word for is
// in Answer.Error as it is, as is a panic.
func (l *library) decide(req *Request) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			a.Error = fmt.Sprintf("panic: %v", p)
		}
	}()
	d, err := l.director.DecideAt(newAsked(req), req.Slot, 0)
	a = Answer{
		Via: d.Via.String(), Rule: d.Rule, Slot: d.Slot, Target: d.Target, Fallback: d.Fallback.String(),
		Skipped: append([]string{}, d.Skipped()...), Candidates: []string{}, Error: errorWord(err),
	}
	for e := range d.Candidates() {
		a.Candidates = append(a.Candidates, e.Addr())
	}
	slices.Sort(a.Candidates)
	return a
}

func errorWord(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, balancer.ErrNoInstance):
		return NoInstance
	case errors.Is(err, balancer.ErrUnknownTarget):
		return UnknownTarget
	default:
		return err.Error()
	}
}

// same reports whether two answers agree in every field.
func (a *Answer) same(b *Answer) bool {
	return a.Via == b.Via && a.Rule == b.Rule && a.Slot == b.Slot && a.Target == b.Target &&
		a.Fallback == b.Fallback && a.Error == b.Error &&
		slices.Equal(a.Skipped, b.Skipped) && slices.Equal(a.Candidates, b.Candidates)
}

// asked is a Request as the library asks about it.
type asked struct {
	*Request
	headers map[string][]string // by the name in lower case
}

func newAsked(r *Request) *asked {
	a := &asked{r, make(map[string][]string, len(r.Headers))}
	for name, values := range r.Headers {
		lower := strings.ToLower(name)
		a.headers[lower] = append(a.headers[lower], values...)
	}
	return a
}

func (a *asked) Header(name config.HeaderName) (string, bool) {
	if all := a.headers[name.Lower]; len(all) == 1 {
		return all[0], true
	}
	return "", false
}

func (a *asked) Cookie(name string) (string, bool) {
	v, ok := a.Cookies[name]
	return v, ok
}

func (a *asked) Query(name string) (string, bool) {
	if all := a.Request.Query[name]; len(all) > 0 {
		return all[0], true
	}
	return "", false
}

func (a *asked) Path() string   { return a.Request.Path }
func (a *asked) Method() string { return a.Request.Method }
func (a *asked) Lane() string   { return a.Request.Lane }

func (a *asked) User() string {
	if a.Request.User != "" {
		return a.Request.User
	}
	v, _ := a.Header(config.NewHeaderName(lane.HeaderUser))
	return v
}
