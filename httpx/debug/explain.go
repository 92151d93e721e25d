package debug

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/explain"
	"github.com/graylane/graylane/resolver"
)

// maxBody is how many bytes of a form or a JSON request are read.
const maxBody = 256 << 10

// explainPage is a request to explain, and who gets it.
type explainPage struct {
	View   string          `json:"view"`
	Views  []string        `json:"-"`
	Form   form            `json:"-"`
	Error  string          `json:"error,omitempty"`
	Answer *explain.Answer `json:"answer,omitempty"`
	Text   string          `json:"text,omitempty"`
	// Notes are what an explanation leaves out: it is about the rules, and who is
	// ejected or withdrawn passes.
	Notes []string `json:"notes,omitempty"`
}

// form is a request as a person fills it in.
type form struct {
	Method, Path, Headers, User, Lane, Caller, Slot string
}

func formOf(v url.Values) form {
	get := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	return form{
		get("method"), get("path"), get("headers"), get("user"), get("lane"), get("caller"), get("slot"),
	}
}

// input returns the request that the form describes.
func (f form) input() (in explain.Input, err error) {
	in = explain.Input{ID: "request", Method: f.Method, User: f.User, Lane: f.Lane}
	if f.Path != "" {
		u, err := url.ParseRequestURI(f.Path)
		if err != nil {
			return in, fmt.Errorf("path: %w", errors.Unwrap(err))
		}
		in.Path = u.Path
		in.Query = pointers(u.Query())
	}
	headers := http.Header{}
	err = eachPair(f.Headers, ":", func(name, value string) { headers[name] = append(headers[name], value) })
	if err != nil {
		return in, fmt.Errorf("headers: %w, as X-User-Id: u1", err)
	}
	in.Headers = pointers(headers)
	in.Cookies = map[string]*string{}
	for name, values := range headers {
		if !strings.EqualFold(name, "cookie") {
			continue
		}
		for _, c := range (&http.Request{Header: http.Header{"Cookie": values}}).Cookies() {
			if in.Cookies[c.Name] == nil { // the first counts
				in.Cookies[c.Name] = &c.Value
			}
		}
	}
	in.Caller = map[string]*string{}
	if err := eachPair(f.Caller, "=", func(name, value string) { in.Caller[name] = &value }); err != nil {
		return in, fmt.Errorf("caller: %w, as zone=a", err)
	}
	if f.Slot != "" {
		slot, err := strconv.Atoi(f.Slot)
		if err != nil {
			return in, fmt.Errorf("slot: %.20q is no whole number", f.Slot)
		}
		in.Slot = &slot
	}
	return in, nil
}

func pointers(m map[string][]string) map[string][]*string {
	out := make(map[string][]*string, len(m))
	for name, values := range m {
		for i := range values {
			out[name] = append(out[name], &values[i])
		}
	}
	return out
}

// eachPair calls fn with the name and the value of each line.
func eachPair(text, between string, fn func(name, value string)) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, between)
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("%.80q is no name, %q and value", line, between)
		}
		fn(name, strings.TrimSpace(value))
	}
	return nil
}

// explain reads a request from a form, a query or JSON, and explains it. The status
// is the answer's.
func (p *Page) explain(r *http.Request) (out explainPage, status int) {
	for _, v := range p.views.sorted() {
		if v.State() != nil {
			out.Views = append(out.Views, v.String())
		}
	}
	fail := func(status int, err error) (explainPage, int) {
		out.Error = err.Error()
		return out, status
	}
	request, err := p.request(r, &out)
	if out.View == "" && len(out.Views) == 1 {
		out.View = out.Views[0]
	}
	switch {
	case err != nil:
		return fail(http.StatusBadRequest, err)
	case request == nil: // an empty form
		return out, http.StatusOK
	}
	v, s := p.view(out.View)
	if v == nil {
		return fail(http.StatusNotFound, errNoView(out.View))
	}
	d := explain.NewDirector(s.Director, s.Rules)
	if labels := request.Caller(); len(labels) > 0 {
		d = asCaller(s, d, labels)
	}
	answer := d.Answer(request)
	out.Answer, out.Text = &answer, d.Text(request)
	out.Notes = v.notes()
	return out, http.StatusOK
}

// request reads a request; nil if there is none.
func (p *Page) request(r *http.Request, out *explainPage) (*explain.Request, error) {
	out.View = r.URL.Query().Get("view")
	index := int(p.asked.Add(1) - 1)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method == http.MethodPost && kind == "application/json" {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
		if err != nil {
			return nil, err
		}
		return explain.ParseRequest(bytes.TrimSpace(body), index)
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	out.View, out.Form = r.Form.Get("view"), formOf(r.Form)
	if r.Method != http.MethodPost && out.Form == (form{}) {
		return nil, nil //nolint:nilnil // nothing was asked
	}
	in, err := out.Form.input()
	if err != nil {
		return nil, err
	}
	return explain.NewRequest(in, index)
}

// asCaller returns a director of a state as another caller sees it.
func asCaller(s *resolver.State, d *explain.Director, labels map[string]string) *explain.Director {
	caller := maps.Clone(d.Caller())
	if caller == nil {
		caller = map[string]string{}
	}
	maps.Copy(caller, labels)
	o := balancer.Options{Caller: caller}
	if s.Rules == nil {
		o.DefaultVersion = d.Default()
	}
	return explain.NewDirector(balancer.Build(s.Rules, s.Global, s.Snapshot, o, nil), s.Rules)
}

// notes are what keeps requests from where the rules send them, now.
func (v *view) notes() (out []string) {
	for _, name := range v.Withdrawn() {
		out = append(out, fmt.Sprintf("The guard has withdrawn %s: what a rule that is not strict sends there goes to the default now.", name))
	}
	ejected := 0
	for _, in := range v.Instances() {
		if in.State == resolver.Ejected {
			ejected++
		}
	}
	if ejected > 0 {
		out = append(out, fmt.Sprintf("Picks pass over %s that is ejected now.", count(ejected, "instance")))
	}
	return out
}

func errNoView(name string) error {
	if name == "" {
		return errors.New("which service? choose one of those on the first page")
	}
	return fmt.Errorf("there is no service %.80q here (any more); see the first page", name)
}

// view returns a view that has a state by its name.
func (p *Page) view(name string) (*view, *resolver.State) {
	for _, v := range p.views.sorted() {
		if s := v.State(); s != nil && v.String() == name {
			return v, s
		}
	}
	return nil, nil
}
