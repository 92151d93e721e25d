package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/explain"
)

// maxMoved is how many requests of a move are named.
const maxMoved = 10

// move is where requests go by the rules, and by those of --against.
type move struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Count    int      `json:"count"`
	Requests []string `json:"requests"` // the first IDs
}

// comparison is what a changed document does to the requests.
type comparison struct {
	moves map[[2]string]*move // by from and to, also of those who stay
	all   int
	moved int
	other int // stay, among other instances than before
	drawn int // got a slot here that decided
}

// compare tells how many requests go from where to where.
func (e *explainer) compare() error {
	c := comparison{moves: map[[2]string]*move{}}
	err := e.requests(func(r *explain.Request) error {
		c.add(r, e.before.of(r), e.after.of(r))
		return nil
	})
	if err != nil {
		return err
	}
	if e.json {
		for _, m := range c.sorted() {
			if err := writeJSON(e.out, m); err != nil {
				return err
			}
		}
		return nil
	}
	_, err = io.WriteString(e.out, e.heading()+c.page())
	return err
}

func (c *comparison) add(r *explain.Request, before, after *explain.Director) {
	slot, drawn := r.Slot()
	old, oldErr := before.DecideAt(r, slot, 0)
	next, nextErr := after.DecideAt(r, slot, 0)
	key := [2]string{before.Where(&old, oldErr), after.Where(&next, nextErr)}
	m := c.moves[key]
	if m == nil {
		m = &move{From: key[0], To: key[1]}
		c.moves[key] = m
	}
	m.Count++
	if len(m.Requests) < maxMoved {
		m.Requests = append(m.Requests, r.ID())
	}
	c.all++
	switch {
	case key[0] != key[1]:
		c.moved++
	case !slices.Equal(explain.Candidates(&old), explain.Candidates(&next)):
		c.other++
	}
	if drawn && (drew(before, &old) || drew(after, &next)) {
		c.drawn++
	}
}

// drew reports whether a drawn slot decided.
func drew(d *explain.Director, dec *balancer.Decision) bool {
	rule := d.Rule(dec.Rule)
	return dec.Slot >= 0 && rule != nil && rule.Sticky == nil
}

// sorted returns the moves, the largest first, and behind them those who stay.
func (c *comparison) sorted() []*move {
	out := make([]*move, 0, len(c.moves))
	for _, m := range c.moves {
		out = append(out, m)
	}
	stays := func(m *move) int {
		if m.From == m.To {
			return 1
		}
		return 0
	}
	slices.SortFunc(out, func(a, b *move) int {
		return cmp.Or(cmp.Compare(stays(a), stays(b)), cmp.Compare(b.Count, a.Count),
			cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}

// page tells a person.
func (c *comparison) page() string {
	var p explain.Page
	fmt.Fprintf(&p, "\nOf %s, %d move and %d stay.\n", count(c.all, "request"), c.moved, c.all-c.moved)
	if c.all > 0 {
		p.WriteString("\n    count   share  from → to\n")
	}
	for _, m := range c.sorted() {
		lead := fmt.Sprintf("  %7d %6.2f%%  ", m.Count, 100*float64(m.Count)/float64(c.all))
		if m.From == m.To {
			p.Fold(lead, "stay "+m.From)
			continue
		}
		p.Fold(lead, m.From+" → "+m.To)
		ids := make([]string, 0, len(m.Requests)+1)
		for _, id := range m.Requests {
			ids = append(ids, explain.Plain(id))
		}
		if m.Count > len(ids) {
			ids = append(ids, "...")
		}
		p.Fold(strings.Repeat(" ", len(lead)), strings.Join(ids, " "))
	}
	if c.other > 0 || c.drawn > 0 {
		p.WriteString("\n")
	}
	if c.other > 0 {
		p.Fold("", fmt.Sprintf("Of those that stay, %d have other candidates than before.", c.other))
	}
	if c.drawn > 0 {
		p.Fold("", fmt.Sprintf("%s decided by a slot that was drawn here, the same for both documents, since the request has none: "+
			"%d times its index, modulo 10000, so that shares come out right.", count(c.drawn, "request")+were(c.drawn), balancer.SlotAt(1, 0)))
	}
	return p.String()
}

func were(n int) string {
	if n == 1 {
		return " was"
	}
	return " were"
}
