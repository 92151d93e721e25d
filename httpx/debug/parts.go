package debug

import (
	"fmt"
	"strings"
)

// bar is a line that is divided among targets.
type bar struct {
	Name  string
	Text  string // for those who do not see it
	Parts []part
}

type part struct {
	Color    int
	From, To float64 // percent
}

// bars returns the configured and the actual split, as far as they are known.
func bars(w ways) []bar {
	draw := func(name string, share func(*arm) float64) bar {
		b := bar{Name: name}
		var words []string
		at := 0.0
		for i := range w.Arms {
			a := &w.Arms[i]
			s := share(a)
			if s <= 0 {
				continue
			}
			words = append(words, fmt.Sprintf("%s %s", a.Target, percent(s)))
			b.Parts = append(b.Parts, part{a.Color, at, 100 * s})
			at += 100 * s
		}
		b.Text = name + ": " + strings.Join(words, ", ")
		return b
	}
	var out []bar
	if w.Fixed {
		out = append(out, draw("configured", func(a *arm) float64 { return a.Configured }))
	}
	if w.Picks > 0 {
		out = append(out, draw("actual", func(a *arm) float64 { return a.Actual }))
	}
	return out
}

// pages is a pager's links.
type pages struct {
	Before, After string // "" for none
}

func pager(s servicePage) pages {
	to := func(n int) string {
		if n < 1 || n > s.Pages {
			return ""
		}
		return link("service", "view", s.View, "q", s.Query, "page", n)
	}
	return pages{to(s.Page - 1), to(s.Page + 1)}
}
