package debugpage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/integration/internal/browser"
)

const patience = time.Minute

// reader is somebody at a browser.
type reader struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // of the browser: errors, violations, dialogs
}

func open(t *testing.T, opts ...browser.Option) *reader {
	t.Helper()
	r := &reader{t: t, ctx: browser.Open(t, opts...)}
	require.NoError(t, chromedp.Listen(r.ctx, r.hear))
	_, err := chromedp.Call(r.ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	return r
}

// hear notes what a page that is well has no cause for.
func (r *reader) hear(ev any) {
	text := ""
	switch e := ev.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceNetwork && strings.Contains(e.Entry.Text, "404") || strings.Contains(e.Entry.Text, "400") {
			return // the page asked for is none, or the form is no request: that is the answer
		}
		text = "console: " + e.Entry.Text
	case *runtime.EventConsoleAPICalled:
		text = fmt.Sprint("console.", e.Type)
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
	case *page.EventJavascriptDialogOpening:
		text = "dialog: " + e.Message
	}
	if text != "" {
		r.mu.Lock()
		r.complaints = append(r.complaints, text)
		r.mu.Unlock()
	}
}

func (r *reader) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.complaints
	r.complaints = nil
	return out
}

func (r *reader) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	require.NoError(r.t, chromedp.Do(ctx, actions...), what)
}

func (r *reader) goTo(address string) { r.t.Helper(); r.do(address, chromedp.Navigate(address)) }

// eval returns what an expression is in the page.
func eval[T any](r *reader, expression string) T {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(r.t, err, expression)
	return got
}

// shot leaves a picture of the whole page, if there are to be any.
func (r *reader) shot(name string) {
	r.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(r.ctx, chromedp.FullScreenshot(100))
	require.NoError(r.t, err)
	require.NoError(r.t, os.WriteFile(filepath.Join(dir, "debug-"+name+".png"), png, 0o600))
}

func TestNothingFromOutsideRuns(t *testing.T) {
	s, r := hostile(t), open(t)
	for name, address := range s.pages() {
		r.goTo(address)
		assert.False(t, eval[bool](r, `"ran" in window`), name)
		assert.Zero(t, eval[int](r, `document.querySelectorAll("script, iframe, img, [onerror], [onload], [style]").length`), name)
		assert.Empty(t, r.heard(), name)
		assert.NotEmpty(t, eval[string](r, `document.querySelector("main").innerText`), name)
	}
	shown := func(address string) string {
		r.goTo(address)
		return eval[string](r, `document.body.innerText`)
	}
	for _, name := range []string{"services", "settings", "order", "explained"} {
		assert.Contains(t, shown(s.pages()[name]), "<script>window.ran", "%s: it is there, as text", name)
	}

	// The same policy on a page that is not well, so that it is known that all of this
	// would be heard.
	s.server.Config.Handler = spoiled(s.page)
	r.goTo(s.at(""))
	assert.False(t, eval[bool](r, `"ran" in window`), "the policy holds it back")
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(r.heard(), " "), "Content Security Policy") }, patience, 10*time.Millisecond)
}

// spoiled has a script in the page.
func spoiled(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&spoiler{w}, r)
	})
}

type spoiler struct{ http.ResponseWriter }

func (s *spoiler) WriteHeader(status int) {
	s.Header().Del("Content-Length")
	s.ResponseWriter.WriteHeader(status)
}

func (s *spoiler) Write(body []byte) (int, error) {
	_, err := s.ResponseWriter.Write([]byte(strings.Replace(string(body), "<main", bad+"<main", 1)))
	return len(body), err
}

func TestTheFormExplains(t *testing.T) {
	s, r := everyday(t), open(t)
	r.goTo(s.of("order"))
	r.do("from the service to the form", chromedp.Click(chromedp.CSS(`a[href^="explain?"]`)), chromedp.WaitVisible(chromedp.CSS("form.ask")))
	assert.Equal(t, s.views["order"].String(), eval[string](r, `document.querySelector("#view").value`))
	r.do("the form",
		chromedp.SendKeys(chromedp.CSS("#path"), "/pay"),
		chromedp.SendKeys(chromedp.CSS("#headers"), "X-Tester: yes\nX-User-Id: u1"),
		chromedp.SendKeys(chromedp.CSS("#user"), "u7"+kb.Enter),
		chromedp.WaitVisible(chromedp.CSS("pre")),
	)
	text := eval[string](r, `document.querySelector("pre").innerText`)
	assert.Contains(t, text, "request: /pay, user u7\n  rules   testers  matches\n")
	assert.Contains(t, text, `v2, by rule "testers"`)
	assert.Equal(t, "X-Tester: yes\nX-User-Id: u1", eval[string](r, `document.querySelector("#headers").value`), "it can be changed and asked again")
	assert.NotContains(t, eval[string](r, "location.href"), "u7", "what was asked is in no history")
	assert.Empty(t, r.heard())
	r.shot("explained-light")
}

func TestAPageLoadsItselfAgain(t *testing.T) {
	s, r := everyday(t), open(t)
	var loads atomic.Int64
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/decisions") && loads.Add(1) >= 3 {
			req.URL.RawQuery = "" // enough: one more would take the place of where we go next
		}
		s.page.ServeHTTP(w, req)
	})
	r.goTo(s.at("decisions?refresh=1"))
	require.Eventually(t, func() bool { return loads.Load() >= 3 }, patience, 10*time.Millisecond)
	r.goTo(s.at("settings"))
	assert.Empty(t, r.heard())
}

func TestItFitsATelephone(t *testing.T) {
	for name, s := range map[string]*scene{"everyday": everyday(t), "hostile": hostile(t)} {
		for _, dark := range []bool{false, true} {
			opts := []browser.Option{browser.Viewport(320, 640), browser.Mobile()}
			suffix := "-phone-light"
			if dark {
				opts, suffix = append(opts, browser.Dark()), "-phone-dark"
			}
			r := open(t, opts...)
			for page, address := range s.pages() {
				r.goTo(address)
				size := eval[[]int](r, `[document.documentElement.scrollWidth, innerWidth]`)
				assert.Equal(t, []int{320, 320}, size, "%s: %s is wider than the screen", name, page)
				assert.Empty(t, eval[[]string](r, outside), "%s: %s has something beyond its frame", name, page)
				assert.Empty(t, eval[[]string](r, small), "%s: %s has links and buttons too small for a finger", name, page)
				if name == "everyday" {
					r.shot(page + suffix)
				}
			}
		}
	}
}

// outside are the elements of a page that reach beyond its margin or its card.
const outside = `[...document.querySelectorAll("main *")].filter(e => {
	const right = f => f.getBoundingClientRect().right - parseFloat(getComputedStyle(f).paddingRight);
	return !e.closest("thead") && right(e) > right(e.closest(".card > *") ? e.closest(".card") : document.querySelector("main")) + 1;
}).map(e => e.outerHTML.slice(0, 200))`

// small are what is to be touched, and lower than 24 px, outside of text.
const small = `[...document.querySelectorAll("header a, button, input, select, textarea, .pager a")]
	.filter(e => e.getClientRects().length && e.type !== "hidden" && !e.matches(".skip") && e.getBoundingClientRect().height < 24)
	.map(e => e.outerHTML)`

func TestItCanBeReadInTheLightAndInTheDark(t *testing.T) {
	s := everyday(t)
	for name, opts := range map[string][]browser.Option{"light": nil, "dark": {browser.Dark()}} {
		r := open(t, opts...)
		for page, address := range s.pages() {
			r.goTo(address)
			var faint []struct {
				Text  string
				Ratio float64
			}
			require.NoError(t, json.Unmarshal([]byte(eval[string](r, contrast)), &faint))
			assert.Empty(t, faint, "%s: %s has text of less than 4.5 : 1", name, page)
			assert.Empty(t, eval[[]string](r, unnamed), "%s: %s has fields without a label", name, page)
			r.shot(page + "-" + name)
		}
	}
}

// contrast are the texts whose color is too near to what is behind them, by WCAG 2.
const contrast = `(() => {
	const rgb = c => c.match(/[\d.]+/g).map(Number);
	const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
	const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
	const mix = (a, b, share) => a.map((v, i) => v * share + b[i] * (1 - share));
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = rgb(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] === 1) return c.slice(0, 3);
		}
		return [255, 255, 255];
	};
	const opacity = e => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1;
	const out = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.getClientRects().length || e.matches("option")) continue;
		const back = behind(e), text = mix(rgb(getComputedStyle(e).color).slice(0, 3), back, opacity(e));
		const [a, b] = [light(text), light(back)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
		if (ratio < 4.5) out.push({Text: n.data.trim().slice(0, 40), Ratio: ratio});
	}
	return JSON.stringify(out);
})()`

// unnamed are the fields of forms that say to nobody what they are for.
const unnamed = `[...document.querySelectorAll("input:not([type=hidden]), select, textarea")].filter(e => !e.labels.length).map(e => e.outerHTML)`

func TestTheKeyboardIsEnough(t *testing.T) {
	s, r := everyday(t), open(t)
	r.goTo(s.of("order"))
	var order []string
	for range 10 {
		r.do("Tab", chromedp.KeyEvent(kb.Tab))
		order = append(order, eval[string](r, `document.activeElement.innerText || document.activeElement.name`))
		outline := eval[string](r, `getComputedStyle(document.activeElement).outlineStyle`)
		assert.Equal(t, "solid", outline, "where the keyboard is can be seen")
		if len(order) == 1 {
			assert.Positive(t, eval[float64](r, `document.activeElement.getBoundingClientRect().right`), "the way to skip is seen once it is reached")
		}
	}
	assert.Equal(t, []string{
		"Skip to the content", "Services", "Explain", "Decisions", "Settings", "refresh every 5 s", "explain a request",
		"  - {name: canary, to: {v2: 80%, v3: 50%}, sticky: user}\n                   ^", "q", "Find", // what may be wide can be scrolled
	}, order)
}
