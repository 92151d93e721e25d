package debug

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// hostile are texts that would become elements or attributes if they were not
// escaped where they stand.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `" autofocus onfocus="alert(1)`,
	`</textarea><svg onload=alert(1)>`, `</pre></title></style><iframe srcdoc="<b>">`, `javascript:alert(1)`, `<!-- `, `{{.}}`,
	`</option></select><form action=//evil.example>`, `&lt;b&gt;<b>`, "a<b\u2028>", `<a href="//evil.example">`, `+ADw-script+AD4-`,
}

// everywhere has a text wherever something from outside can stand, and returns what
// each page shows then.
func everywhere(t *testing.T, bad string) map[string]string {
	t.Helper()
	out := map[string]string{}
	yaml := strconv.Quote(bad)
	rules := fmt.Sprintf(`gray: v1
default: v1
targets: {v1: {version: "1"}, v2: {version: %[1]s}}
rules:
- {name: asked-for, by: header.x-gray-version, missing: fail}
- {name: a, when: {header.x-a: %[1]s, user: {prefix: %[1]s}}, unless: {path: {suffix: %[1]s}}, to: v2}
- {name: b, to: {v2: 50%%}, sticky: header.x-key, salt: %[1]s}
prefer: [zone]
`, yaml)
	in := at("10.0.0.1:80", bad, "zone="+bad, bad+"=x", "lane=")
	in.Cluster = bad
	odd := at("10.0.0.2:80"+bad, "1")
	odd.ID = "2" + bad
	within(t, rules, []registry.Instance{in, odd, at("10.0.0.3:80", "1")}, func(s *scene) {
		t := s.t
		s.options.settings = func() []Setting { return []Setting{{"n" + bad, "v" + bad, "f" + bad}} }
		s.send(t, 1, http.StatusOK)
		s.send(t, 2, http.StatusOK, "X-Gray-Version: v2", "X-A: b")
		s.send(t, 1, http.StatusOK, "X-Gray-Version: "+bad)
		h := s.Hooks()
		h.OnError(registry.Service{Namespace: bad, Group: bad, Name: bad}, errors.New("e"+bad))
		h.OnEvent(resolver.Event{Kind: resolver.InstanceEjected, Service: registry.Service{Name: bad}, Addr: bad, Err: errors.New(bad)})
		h.OnEvent(resolver.Event{Kind: resolver.TargetWithdrawn, Target: bad})
		s.docs.mu.Lock()
		s.docs.fns[rulesID](config.Doc{Content: []byte(rules + "rulez: [" + yaml + "]\n" + yaml + ": 1\n"), MD5: "m" + bad, State: config.Present})
		s.docs.mu.Unlock()
		synctest.Wait()

		q := url.QueryEscape(bad)
		for name, target := range map[string]string{
			"overview": "/?refresh=" + q, "service": orderPage, "search": orderPage + "&q=" + q + "&page=" + q,
			"decisions": "/decisions?x=" + q, "settings": "/settings?" + q, "unknown view": "/service?view=" + q,
			"unknown page": "/" + url.PathEscape("x"+strings.ReplaceAll(bad, "/", "")), "explain": "/explain?view=" + q,
			"explain, refused": "/explain?path=" + q, "explain, by query": "/explain?" + question(bad).Encode(),
		} {
			out[name] = text(ask(s, http.MethodGet, target))
		}
		for name, form := range map[string]url.Values{
			"form": question(bad), "no header": {"headers": {bad}}, "no label": {"caller": {bad}}, "no slot": {"slot": {bad}},
		} {
			out["explain, "+name] = text(ask(s, http.MethodPost, "/explain", func(r *http.Request) {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Body = io.NopCloser(strings.NewReader(form.Encode()))
			}))
		}
	})
	return out
}

// question fills in all of the form.
func question(bad string) url.Values {
	return url.Values{
		"method": {"M" + bad}, "path": {"/" + url.PathEscape(bad) + "?a=" + url.QueryEscape(bad)},
		"headers": {"X-Gray-Version: " + bad + "\nCookie: a=" + bad + "\n" + bad + ": x"},
		"user":    {"u" + bad}, "lane": {"l" + bad}, "caller": {"zone=" + bad + "\nc" + bad + "=x"}, "slot": {"7"},
	}
}

// structure returns the elements of a page with the names of their attributes, and the
// addresses that it leads to.
func structure(t *testing.T, page string) (elements, addresses []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, addresses
		}
		require.NoError(t, err, page)
		switch e := token.(type) {
		case xml.StartElement:
			names := []string{e.Name.Local}
			for _, a := range e.Attr {
				names = append(names, a.Name.Local)
				if slices.Contains([]string{"href", "src", "action", "formaction"}, a.Name.Local) {
					addresses = append(addresses, a.Value)
				}
			}
			elements = append(elements, strings.Join(names, " "))
		case xml.Comment:
			elements = append(elements, "a comment")
		}
	}
}

func TestWhateverComesFromOutsideStaysText(t *testing.T) {
	want := everywhere(t, "plain")
	for _, bad := range hostile {
		got := everywhere(t, bad)
		require.Len(t, got, len(want))
		for name, page := range got {
			elements, addresses := structure(t, page)
			plain, _ := structure(t, want[name])
			// What is searched for or explained may be found, or refused, where the plain
			// text is not.
			if name != "search" && !strings.HasPrefix(name, "explain") {
				assert.Equal(t, plain, elements, "%s with %q", name, bad)
			}
			for _, e := range elements {
				kind, attributes, _ := strings.Cut(e, " ")
				assert.Contains(t, allowed, kind, "%s with %q", name, bad)
				for a := range strings.FieldsSeq(attributes) {
					assert.Contains(t, allowedAttributes, a, "%s with %q: %s", name, bad, e)
				}
			}
			for _, a := range addresses {
				u, err := url.Parse(a)
				require.NoError(t, err, a)
				assert.True(t, u.Scheme == "" && u.Host == "" || a == "data:,", "%s leads to %s", name, a)
			}
		}
	}
	elements, _ := structure(t, `<p onclick="x">a<!-- b --><script></script></p>`)
	assert.Equal(t, []string{"p onclick", "a comment", "script"}, elements, "the test sees them")
}

// The elements and attributes that the templates have.
var (
	allowed = []string{
		"html", "head", "meta", "title", "link", "body", "a", "header", "strong", "nav", "main", "footer", "time", "h1", "h2", "h3", "small",
		"p", "ul", "ol", "li", "section", "table", "thead", "tbody", "tr", "th", "td", "span", "code", "em", "dl", "div", "dt", "dd",
		"svg", "rect", "form", "input", "label", "button", "select", "option", "textarea", "datalist", "pre",
	}
	allowedAttributes = []string{
		"lang", "charset", "name", "content", "http-equiv", "rel", "href", "class", "id", "label", "aria-label", "aria-current", "aria-hidden",
		"datetime", "scope", "data-label", "colspan", "title", "viewBox", "preserveAspectRatio", "role", "x", "y", "width", "height", "rx",
		"type", "value", "placeholder", "action", "method", "for", "required", "selected", "list", "rows", "inputmode", "tabindex",
	}
)
