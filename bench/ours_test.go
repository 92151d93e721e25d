package bench

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// All that this module knows of graylane's pickers is in this file, so that a
// change of their interface is a change of this file. What a view does is in
// live_test.go.

// Documents of the benchmarks.
const (
	plainDoc = "gray: v1\ndefault: v1\n"
	hashDoc  = "gray: v1\ndefault: v1\nbalance: {hash: user}\n"
	leastDoc = "gray: v1\ndefault: v1\nbalance: least\n"
)

// service is the name that everything is registered under.
const service = "order"

// ours is a director over a list, and the decision about a request that no rule
// claims.
type ours struct {
	rules *config.Rules
	d     *balancer.Director
	dec   balancer.Decision
	at    map[string]int
}

func newOurs(tb testing.TB, doc string, in []instance) *ours {
	tb.Helper()
	r, problems := config.ParseRules(config.ServiceDocID(service), service, []byte(doc))
	require.NoError(tb, problems.Err())
	o := &ours{rules: r, at: byAddr(in)}
	o.build(tb, registered(in))
	return o
}

// build takes a list as the next one.
func (o *ours) build(tb testing.TB, list []registry.Instance) {
	tb.Helper()
	snap := registry.NewSnapshot(registry.Service{Name: service}.WithDefaults(), 1, list)
	o.d = balancer.Build(o.rules, nil, snap, balancer.Options{}, o.d)
	var err error
	o.dec, err = o.d.Decide(&request{})
	require.NoError(tb, err)
}

// pick is one pick under the decision.
func (o *ours) pick() *balancer.Endpoint {
	_, e := o.d.Pick(&o.dec, balancer.Pick{})
	return e
}

// registered is a list as the registry's client converts it.
func registered(in []instance) []registry.Instance {
	out := make([]registry.Instance, len(in))
	for i := range in {
		out[i] = registry.NewInstance(in[i].addr())
		out[i].Weight = registry.Weight(in[i].weight)
		out[i].Metadata = map[string]string{registry.KeyVersion: in[i].version}
	}
	return out
}

// request is a config.Request over an http.Header, as that of httpx is.
type request struct {
	header http.Header
	user   string
}

func (r *request) Header(n config.HeaderName) (string, bool) {
	if vs := r.header[n.Canonical]; len(vs) == 1 {
		return vs[0], true
	}
	return "", false
}
func (*request) Cookie(string) (string, bool) { return "", false }
func (*request) Query(string) (string, bool)  { return "", false }
func (*request) Path() string                 { return "/orders/17" }
func (*request) Method() string               { return http.MethodGet }
func (r *request) User() string               { return r.user }
func (*request) Lane() string                 { return "" }

// epoch is where the clock of the pickers begins.
var epoch = time.Now()

// now is a time on it.
func now() int64 { return int64(time.Since(epoch)) }

// oursWeighted picks by weight: the pick alone, after the decision.
func oursWeighted(tb testing.TB, in []instance) drawn {
	tb.Helper()
	o := newOurs(tb, plainDoc, in)
	return drawn{
		pick:    func() { o.pick() },
		index:   func() int { return o.at[o.pick().Addr()] },
		rebuild: func() { o.build(tb, registered(in)) },
	}
}

// oursView picks by weight through View.Pick and Call.Done: all that a face does
// about one request.
func oursView(tb testing.TB, in []instance) drawn {
	tb.Helper()
	w := newLive(tb, plainDoc, in)
	at, ctx, rebuilt := byAddr(in), tb.Context(), 0
	var req config.Request = &request{}
	pick := func() string {
		c, err := w.view.Pick(ctx, req, nil)
		if err != nil {
			tb.Error(err)
			return ""
		}
		c.Done(ctx, resolver.Outcome{Status: http.StatusOK})
		return c.Addr()
	}
	return drawn{
		pick:  func() { pick() },
		index: func() int { return at[pick()] },
		rebuild: func() {
			list := registered(in)
			list[0].Metadata["rebuilt"] = strconv.Itoa(rebuilt) // or it is no update
			rebuilt++
			w.update(tb, list)
		},
	}
}

// oursHash picks by key: it hashes the key and picks. The rest of the decision, the
// look at the request, is in oursDecideHash.
func oursHash(tb testing.TB, in []instance) keyed {
	tb.Helper()
	o := newOurs(tb, hashDoc, in)
	hot := keys(hotKeys)
	decs := make([]balancer.Decision, len(hot))
	for i, k := range hot {
		decs[i] = o.keyed(tb, k)
	}
	return keyed{
		pick: func(i int) {
			if xxhash.Sum64String(hot[i]) != 0 { // what Decide does; the decision has it already
				_, _ = o.d.Pick(&decs[i], balancer.Pick{})
			}
		},
		owner: func(key string) int {
			dec := o.keyed(tb, key)
			_, e := o.d.Pick(&dec, balancer.Pick{})
			return o.at[e.Addr()]
		},
	}
}

// keyed decides about a request with a key.
func (o *ours) keyed(tb testing.TB, key string) balancer.Decision {
	tb.Helper()
	dec, err := o.d.Decide(&request{user: key})
	require.NoError(tb, err)
	return dec
}

// oursDecideHash is oursHash with the decision: no rule, but the key is read from
// the request.
func oursDecideHash(tb testing.TB, in []instance) keyed {
	tb.Helper()
	o := newOurs(tb, hashDoc, in)
	var reqs []config.Request
	for _, k := range keys(hotKeys) {
		reqs = append(reqs, &request{user: k})
	}
	return keyed{pick: func(i int) {
		if dec, err := o.d.Decide(reqs[i]); err == nil {
			_, _ = o.d.Pick(&dec, balancer.Pick{})
		}
	}}
}

// oursBounded is oursHash for requests that are in flight.
func oursBounded(tb testing.TB, in []instance) loadedByKey {
	tb.Helper()
	o := newOurs(tb, hashDoc, in)
	return func(key string) (int, func()) {
		dec := o.keyed(tb, key)
		_, e := o.d.Pick(&dec, balancer.Pick{})
		dec.Begin(e, 0)
		return o.at[e.Addr()], func() { dec.Done(e) }
	}
}

// oursHashDone is oursHash with begin and done, which bounded load needs.
func oursHashDone(tb testing.TB, in []instance) keyed {
	tb.Helper()
	o := newOurs(tb, hashDoc, in)
	hot := keys(hotKeys)
	decs := make([]balancer.Decision, len(hot))
	for i, k := range hot {
		decs[i] = o.keyed(tb, k)
	}
	return keyed{pick: func(i int) {
		if xxhash.Sum64String(hot[i]) != 0 {
			_, e := o.d.Pick(&decs[i], balancer.Pick{})
			decs[i].Begin(e, 0)
			decs[i].Done(e)
		}
	}}
}

// oursLeast picks the less loaded of two, with done, and without reading a clock:
// the time stands still.
func oursLeast(tb testing.TB, in []instance) loaded {
	tb.Helper()
	o := newOurs(tb, leastDoc, in)
	return loaded{pick: func() {
		_, e := o.d.Pick(&o.dec, balancer.Pick{Now: 1})
		o.dec.Begin(e, 0)
		o.dec.Done(e)
		e.Observe(time.Millisecond, false, 1)
	}}
}

// oursLeastClock is oursLeast with the clock that latency needs: read at the begin
// and at the end.
func oursLeastClock(tb testing.TB, in []instance) loaded {
	tb.Helper()
	o := newOurs(tb, leastDoc, in)
	return loaded{pick: func() {
		start := now()
		_, e := o.d.Pick(&o.dec, balancer.Pick{Now: start})
		o.dec.Begin(e, 0)
		o.dec.Done(e)
		end := now()
		e.Observe(time.Duration(end-start), false, end)
	}}
}

// filterDoc has ten rules on one header, one for each version, and a default.
func filterDoc() string {
	var doc strings.Builder
	doc.WriteString("gray: v1\ndefault: v0\nrules:\n")
	for i := range 10 {
		fmt.Fprintf(&doc, "- {name: r%d, when: {header.x-group: g%d}, to: v%d}\n", i, i, i)
	}
	return doc.String()
}

// filterRequests are requests whose header is asked for by the ten rules, each of
// another group, with the headers that browsers send besides.
func filterRequests() []config.Request {
	reqs := make([]config.Request, 16)
	for i := range reqs {
		reqs[i] = &request{header: http.Header{
			"X-Group": {fmt.Sprintf("g%d", i%10)}, "User-Agent": {"bench"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"},
			"X-Request-Id": {"4711"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		}}
	}
	return reqs
}

// oursFilter is the whole decision by ten rules on one header, and the pick of an
// instance of the target.
func oursFilter(tb testing.TB, in []instance) keyed {
	tb.Helper()
	o := newOurs(tb, filterDoc(), in)
	reqs := filterRequests()
	return keyed{
		pick: func(i int) {
			if dec, err := o.d.Decide(reqs[i&15]); err == nil {
				_, _ = o.d.Pick(&dec, balancer.Pick{})
			}
		},
		owner: func(version string) int {
			dec, err := o.d.Decide(&request{header: http.Header{"X-Group": {"g" + version[1:]}}})
			require.NoError(tb, err)
			_, e := o.d.Pick(&dec, balancer.Pick{})
			return o.at[e.Addr()]
		},
	}
}

// oursViewFilter is oursFilter through View.Pick and Call.Done.
func oursViewFilter(tb testing.TB, in []instance) keyed {
	tb.Helper()
	w, reqs, ctx := newLive(tb, filterDoc(), in), filterRequests(), tb.Context()
	return keyed{pick: func(i int) {
		if c, err := w.view.Pick(ctx, reqs[i&15], nil); err == nil {
			c.Done(ctx, resolver.Outcome{Status: http.StatusOK})
		}
	}}
}

// decideAndPick is which of the list a request goes to.
func (o *ours) decideAndPick(tb testing.TB, req config.Request) int {
	tb.Helper()
	dec, err := o.d.Decide(req)
	require.NoError(tb, err)
	_, e := o.d.Pick(&dec, balancer.Pick{})
	return o.at[e.Addr()]
}

// oursSim is a policy of ours in the simulation, through a view.
func oursSim(doc string) func(testing.TB, []instance) simPolicy {
	return func(tb testing.TB, in []instance) simPolicy {
		tb.Helper()
		w, at := newLive(tb, doc, in), byAddr(in)
		return func(user string) (int, func(time.Duration, bool)) {
			c, err := w.view.Pick(tb.Context(), &request{user: user}, nil)
			require.NoError(tb, err)
			return at[c.Addr()], func(_ time.Duration, failed bool) {
				o := resolver.Outcome{Status: http.StatusOK}
				if failed {
					o = resolver.Outcome{Err: errFailed}
				}
				c.Done(tb.Context(), o)
			}
		}
	}
}
