package debug

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed templates
var files embed.FS

// page renders one kind of page.
type page struct{ *template.Template }

// sheet is what the frame of every page needs, and the page's own data.
type sheet struct {
	Title   string
	Here    string // the page's name
	Refresh int    // s; 0: never
	Again   string // a link to this page that loads itself again, or does not any more
	Data    any
	Now     time.Time
}

// parsePages reads the templates; they are ours, and tests read them too.
func parsePages() map[string]page {
	funcs := template.FuncMap{
		"percent": percent, "span": span, "count": count[int], "times": count[uint64],
		"ago":   ago,
		"name":  func(service string) string { return service[strings.LastIndex(service, "/")+1:] },
		"clock": func(t time.Time) string { return t.Format("15:04:05.000") },
		"short": func(md5 string) string { return md5[:min(len(md5), 8)] },
		"link":  link,
		"bars":  bars,
		"pager": pager,
		"all":   func(what string) string { return cmp.Or(what, "all versions") },
	}
	out := map[string]page{}
	for _, name := range []string{"overview", "service", "explain", "decisions", "settings", "error"} {
		t := template.New("layout.html").Funcs(funcs)
		out[name] = page{template.Must(t.ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))}
	}
	return out
}

// link returns a relative address with a query.
func link(page string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if text := fmt.Sprint(pairs[i+1]); text != "" {
			q.Set(fmt.Sprint(pairs[i]), text)
		}
	}
	return page + "?" + q.Encode()
}

// serve answers a request that may see the page. A page is the last part of the path,
// so that it works wherever it is put.
func (p *Page) serve(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	a := answer{w: w, r: r, page: p}
	allowed := []string{http.MethodGet, http.MethodHead}
	if name == "explain" {
		allowed = append(allowed, http.MethodPost)
	}
	if !slices.Contains(allowed, r.Method) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		a.fail(http.StatusMethodNotAllowed, "this page is to be read: want "+strings.Join(allowed, ", "))
		return
	}
	q := r.URL.Query()
	switch name {
	case "style.css":
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		css, _ := files.ReadFile("templates/style.css") // it is embedded
		_, _ = w.Write(css)
	case "":
		a.show(http.StatusOK, "overview", "Services", p.overview())
	case "service":
		v, _ := p.view(q.Get("view"))
		if v == nil {
			a.fail(http.StatusNotFound, errNoView(q.Get("view")).Error())
			return
		}
		number, _ := strconv.Atoi(q.Get("page")) // what is none is the first
		if data, ok := p.servicePage(v, strings.TrimSpace(q.Get("q")), number); ok {
			a.show(http.StatusOK, "service", data.Name, data)
			return
		}
		a.fail(http.StatusNotFound, errNoView(q.Get("view")).Error())
	case "explain":
		data, status := p.explain(r)
		a.show(status, "explain", "Explain a request", data)
	case "decisions":
		a.show(http.StatusOK, "decisions", "Last decisions", decisionsPage{time.Now(), p.decisions.latest()})
	case "settings":
		a.show(http.StatusOK, "settings", "Settings", p.settings())
	default:
		a.fail(http.StatusNotFound, fmt.Sprintf("there is no page %.80q; the first page is ./", path.Base(r.URL.Path)))
	}
}

// decisionsPage is the last decisions.
type decisionsPage struct {
	Now       time.Time  `json:"now"`
	Decisions []decision `json:"decisions"`
}

// settingsPage is the configuration.
type settingsPage struct {
	Known    bool      `json:"known"` // the page was told of it
	Settings []setting `json:"settings"`
}

type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (p *Page) settings() settingsPage {
	out := settingsPage{Known: p.options.settings != nil, Settings: []setting{}}
	if out.Known {
		for _, s := range p.options.settings() {
			out.Settings = append(out.Settings, setting(s))
		}
	}
	return out
}

// answer is one answer, in HTML or JSON.
type answer struct {
	w    http.ResponseWriter
	r    *http.Request
	page *Page
}

// json reports whether the answer is for a program.
func (a *answer) json() bool {
	accept := a.r.Header.Get("Accept")
	return a.r.URL.Query().Get("format") == "json" ||
		strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// problemPage says why there is nothing to see.
type problemPage struct {
	Error string `json:"error"`
}

func (a *answer) fail(status int, text string) {
	a.show(status, "error", http.StatusText(status), problemPage{text})
}

// show writes a page.
func (a *answer) show(status int, name, title string, data any) {
	var body bytes.Buffer
	kind := "text/html; charset=utf-8"
	var err error
	if a.json() {
		kind = "application/json"
		err = json.NewEncoder(&body).Encode(data)
	} else {
		err = a.page.pages[name].Execute(&body, a.sheet(name, title, data))
	}
	if err != nil { // a fault of ours
		http.Error(a.w, "debug: "+err.Error(), http.StatusInternalServerError)
		return
	}
	a.w.Header().Set("Content-Type", kind)
	a.w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	a.w.WriteHeader(status)
	_, _ = a.w.Write(body.Bytes())
}

// maxRefresh is the slowest that a page loads itself again, in s.
const maxRefresh = 3600

func (a *answer) sheet(name, title string, data any) sheet {
	q := a.r.URL.Query()
	s := sheet{Title: title, Here: name, Data: data, Now: time.Now()}
	if a.r.Method == http.MethodPost || name == "explain" || name == "error" {
		return s
	}
	if n, err := strconv.Atoi(q.Get("refresh")); err == nil && n > 0 {
		s.Refresh = min(n, maxRefresh)
	}
	q.Del("refresh")
	if s.Refresh == 0 {
		q.Set("refresh", "5")
	}
	s.Again = "?" + q.Encode()
	return s
}
