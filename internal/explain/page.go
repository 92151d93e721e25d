package explain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pageWidth is how many characters a line has at most, if its words let it.
const pageWidth = 79

// Page is text for a person, made of labeled lines. The zero value is empty.
type Page struct{ strings.Builder }

// line adds text under a label; what does not fit goes on below it.
func (p *Page) line(label, text string) { p.Fold(fmt.Sprintf("  %-8s", label), text) }

// Fold adds words behind a lead, over as many lines as they need, each indented
// like the first.
func (p *Page) Fold(lead, text string) {
	lead, text = Safe(lead), Safe(text)
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	at := lead
	used := len(indent)
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > pageWidth:
			p.WriteString(strings.TrimRight(at, " ") + "\n")
			at, used = indent, len(indent)
		default:
			at, used = at+" ", used+1
		}
		at, used = at+word, used+n
	}
	p.WriteString(strings.TrimRight(at, " ") + "\n")
}

// Plain returns a text that a request brought, in quotes where it could be taken
// for something else or would upset a terminal, and shortened.
func Plain(s string) string {
	const limit = 120
	cut := ""
	if len(s) > limit {
		s, cut = strings.ToValidUTF8(s[:limit], ""), "..."
	}
	odd := func(c rune) bool { return !unicode.IsGraphic(c) || c == ' ' || c == ',' || c == '"' }
	if s == "" || strings.ContainsFunc(s, odd) {
		s = strconv.Quote(s)
	}
	return s + cut
}

// Safe replaces what would move a terminal's cursor or turn its text around:
// documents, requests and servers may hold anything.
func Safe(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || unicode.IsGraphic(c) {
			return c
		}
		return utf8.RuneError
	}, s)
}
