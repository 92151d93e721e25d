package reference

import (
	"fmt"
	"strings"
)

// request draws a request of a caller. At holds slots that are worth a try.
func (g generator) request(caller map[string]string, at []int) Request {
	r := Request{
		Method: g.method(), Path: g.path(), Caller: caller,
		Headers: map[string][]string{}, Cookies: map[string]string{}, Query: map[string][]string{},
		Slot: g.IntN(slots),
	}
	if g.chance(6) {
		r.Path = g.odd()
	}
	if g.chance(6) {
		r.Method = g.odd()
	}
	if g.chance(50) {
		r.Slot = pick(g, at...)
	}
	if g.chance(35) {
		r.User = g.user()
	}
	if g.chance(35) {
		r.Lane = g.lane()
	} else if g.chance(10) {
		r.Lane = g.odd()
	}
	for _, name := range []string{"x-gray-version", "x-a", "x-b", "x-user-id", "x-gray-lane"} {
		if g.chance(40) {
			g.header(r.Headers, name)
		}
	}
	if g.chance(40) {
		r.Headers[g.spelling("x-tag")] = []string{g.tags()}
		if g.chance(5) {
			r.Headers[g.spelling("x-tag")] = []string{g.tags(), g.tags()}
		}
	}
	if g.chance(40) {
		r.Cookies[pick(g, "c", "c", "C", "d e")] = g.sent()
	}
	if g.chance(40) {
		for range g.IntN(3) {
			name := pick(g, "q", "q", "Q", "中")
			r.Query[name] = append(r.Query[name], g.sent())
		}
	}
	return r
}

func (g generator) method() string { return pick(g, "GET", "GET", "POST", "PATCH", "get") }

func (g generator) path() string {
	return pick(g, "/", "/pay", "/pay/x", "/pay//x/../y", "/order.Order/Get", "/中")
}

// user draws users of whom many are the only one of that name, so that their
// slots are everywhere.
func (g generator) user() string {
	switch {
	case g.chance(60):
		return fmt.Sprintf("u%d", g.IntN(slots))
	case g.chance(10):
		return g.odd()
	default:
		return pick(g, "u1", "u2", "v1", "ab")
	}
}

// sent draws the value of a header, a cookie or a query.
func (g generator) sent() string {
	switch {
	case g.chance(12):
		return g.odd()
	case g.chance(20):
		return g.user()
	default:
		return g.text()
	}
}

// header adds a header, which is now and then sent twice, in one spelling or in
// two, or without a value.
func (g generator) header(headers map[string][]string, name string) {
	spelled := g.spelling(name)
	headers[spelled] = append(headers[spelled], g.sent())
	if g.chance(8) {
		spelled = g.spelling(name)
		headers[spelled] = append(headers[spelled], g.sent())
	}
	if g.chance(2) {
		headers[spelled] = []string{}
	}
}

func (g generator) spelling(name string) string {
	return pick(g, name, name, strings.ToUpper(name), "X"+name[1:])
}

// tags draws the value of x-tag. Some are malformed.
func (g generator) tags() string {
	var pairs []string
	for _, key := range some(g, 0, 3, "version", "k", "lane") {
		pairs = append(pairs, key+"="+g.text())
	}
	if g.chance(10) {
		pairs = append(pairs, pick(g, "", "=", "k", "k=", "=v", "k =v1", "k= v1", "ä=1", "k=v=w", "version=v1", "\tk=v1",
			"k=v1\t", "version=v1 ", strings.Repeat("k", 64+g.IntN(2))+"=1", "k="+g.odd()))
	}
	if g.chance(15) {
		return strings.Join(pairs, "  ,  ")
	}
	return strings.Join(pairs, ",")
}
