package console

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/integration/internal/browser"
)

// patience bounds every wait for an event.
const patience = time.Minute

// tick is how often the page is looked at.
const tick = 30 * time.Millisecond

// stuck is after what time a page is opened again: where Nacos was slow to answer, it
// stays empty.
const stuck = 10 * time.Second

// page is Nacos's console as an operator has it before them: it is seen, clicked
// and typed into, and not called.
type page struct {
	t     *testing.T
	ctx   context.Context // the browser's
	shots string          // folder for pictures; "": none are taken
	now   func() int64    // the clock of the requests
}

// spot is a place in the page: the last visible element that matches CSS, has this
// text if there is one, and is in the table row with this cell if there is one.
type spot struct{ CSS, Text, Row string }

func (s spot) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %q %s", s.CSS, s.Text, s.Row))
}

func button(text string) spot   { return spot{CSS: "button", Text: text} }
func link(text string) spot     { return spot{CSS: "a", Text: text} }
func menu(text string) spot     { return spot{CSS: ".next-menu-item", Text: text} }
func headline(text string) spot { return spot{CSS: "*", Text: text} }
func dialog(text string) spot   { return spot{CSS: ".next-dialog *", Text: text} }
func confirm(text string) spot  { return spot{CSS: ".next-dialog button", Text: text} }

// of is the spot in the row of a table.
func (s spot) of(row string) spot { s.Row = row; return s }

// find returns the element of a spot that nothing covers, or null.
const find = `((s, block = "nearest") => {
	const row = e => [...e.closest("tr")?.cells ?? []].some(c => c.innerText.trim() === s.Row);
	const seen = e => e.getClientRects().length > 0;
	const e = [...document.querySelectorAll(s.CSS)].filter(e =>
		seen(e) && (!s.Text || e.innerText?.trim() === s.Text) && (!s.Row || row(e))).pop();
	if (!e) return null;
	e.scrollIntoView({block});
	const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2;
	return e.contains(document.elementFromPoint(x, y)) ? {e, x, y} : null;
})`

// eval returns what an expression is in the page, given an argument.
func eval[T any](p *page, expression string, arg any) T {
	p.t.Helper()
	text, err := json.Marshal(arg)
	require.NoError(p.t, err)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression+"("+string(text)+")", chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, "%s of %s", expression, text)
	return got
}

// wait looks at the page until something is there, and reports whether it came
// within d.
func (p *page) wait(d time.Duration, there func() bool) bool {
	p.t.Helper()
	limit, again := time.NewTimer(d), time.NewTicker(tick)
	defer limit.Stop()
	defer again.Stop()
	for !there() {
		select {
		case <-again.C:
		case <-limit.C:
			return false
		}
	}
	return true
}

// until waits for something that must come; with a picture of what there is
// instead, if there are pictures.
func (p *page) until(what string, there func() bool) {
	p.t.Helper()
	if !p.wait(patience, there) {
		p.shot("failed")
		require.FailNow(p.t, "the console does not show "+what, "it shows: %s", eval[string](p, `(_ => document.body.innerText)`, nil))
	}
}

// moves reports whether something moves that will come to rest; a cursor blinks on.
const moves = `document.getAnimations().some(a => a.playState === "running" && a.effect.getTiming().iterations < Infinity)`

// rest waits until a spot is there, and no longer moves, and returns where it is.
func (p *page) rest(s spot) (x, y float64) {
	p.t.Helper()
	var before *struct{ X, Y float64 }
	p.until(s.String(), func() bool {
		at := eval[*struct{ X, Y float64 }](p, `(s => { const f = `+find+`(s); return f && !`+moves+` && {X: f.x, Y: f.y} || null })`, s)
		still := at != nil && before != nil && *at == *before
		before = at
		return still
	})
	return before.X, before.Y
}

// sees waits until a spot is there.
func (p *page) sees(s spot) { p.t.Helper(); p.rest(s) }

// shows reports whether a spot is there now.
func (p *page) shows(s spot) bool {
	p.t.Helper()
	return eval[bool](p, `(s => `+find+`(s) !== null)`, s)
}

// click clicks with the mouse, and returns when it did.
func (p *page) click(s spot) int64 {
	p.t.Helper()
	x, y := p.rest(s)
	at := p.now()
	p.do("click "+s.String(), chromedp.MouseClickXY(x, y))
	return at
}

// press presses a key while Control is held.
func (p *page) press(key string, editing ...string) {
	p.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		_, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: kind, Key: key, Code: "Key" + strings.ToUpper(key), WindowsVirtualKeyCode: int64(strings.ToUpper(key)[0]),
			Modifiers: int64(chromedp.ModifierCtrl), Commands: editing,
		})
		require.NoError(p.t, err)
	}
}

// enter replaces what is in a field.
func (p *page) enter(field spot, text string) {
	p.t.Helper()
	p.click(field)
	p.press("a", "selectAll")
	p.do("type "+text, chromedp.KeyEvent(text))
	p.until(field.String()+" with "+text, func() bool {
		return eval[string](p, `(s => `+find+`(s)?.e.value ?? "")`, field) == text
	})
}

// rewrite replaces the text in the page's editor. It is pasted, since the editor
// indents what is typed.
func (p *page) rewrite(text string) {
	p.t.Helper()
	p.until("a cursor in the editor", func() bool { // the page makes a new one when the format is chosen
		p.click(spot{CSS: ".monaco-editor .overflow-guard"})
		return eval[bool](p, `(_ => document.activeElement.closest(".monaco-editor") !== null)`, nil)
	})
	p.press("a", "selectAll")
	eval[bool](p, `(text => navigator.clipboard.writeText(text).then(() => true))`, text)
	p.press("v", "paste")
	p.until("the text:\n"+text, func() bool { return p.edits(text) })
}

// edits reports whether the editor shows a text.
func (p *page) edits(text string) bool {
	p.t.Helper()
	shown := eval[string](p, `(_ => [...document.querySelectorAll(".monaco-editor .view-line")].filter(e => e.getClientRects().length)
		.sort((a, b) => parseInt(a.style.top) - parseInt(b.style.top)).map(e => e.innerText).join("\n"))`, nil)
	clean := strings.NewReplacer("\u00a0", " ", "\u200b", "")
	return strings.TrimSpace(clean.Replace(shown)) == strings.TrimSpace(text)
}

// frame draws a frame around a spot, or takes all frames away.
const frame = `(s => {
	if (!s.CSS) return document.querySelectorAll(".frame-to-see").forEach(e => e.remove());
	const r = ` + find + `(s).e.getBoundingClientRect(), e = document.body.appendChild(document.createElement("div"));
	e.className = "frame-to-see";
	Object.assign(e.style, {position: "fixed", left: r.x-5+"px", top: r.y-5+"px", width: r.width+10+"px", height: r.height+10+"px",
		boxSizing: "border-box", border: "3px solid #e60023", borderRadius: "6px", zIndex: 1e6, pointerEvents: "none"});
})`

// shot takes a picture with the first frame in its middle, once nothing moves.
func (p *page) shot(name string, frames ...spot) {
	p.t.Helper()
	if p.shots == "" {
		return
	}
	for i, s := range frames {
		p.sees(s)
		if i == 0 {
			eval[any](p, `(s => { `+find+`(s, "center") })`, s)
		}
	}
	p.until("an end of what moves", func() bool { return eval[bool](p, `(_ => !`+moves+`)`, nil) })
	for _, s := range frames {
		eval[any](p, frame, s)
	}
	require.NoError(p.t, browser.Shot(p.ctx, filepath.Join(p.shots, "operating-"+name+".png")))
	eval[any](p, frame, spot{})
}

func (p *page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, actions...), what)
}
