package reference

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// Case is a situation and requests that are made in it, by one caller.
type Case struct {
	Service        string
	Document       *Document // nil: none was ever accepted
	Global         *Global   // nil: none was ever accepted
	DefaultVersion string    // what the consumer was started with
	Instances      []Instance
	Caller         map[string]string
	Requests       []Request
}

// Decide answers one of the case's requests.
func (c *Case) Decide(req Request) Answer {
	return Decide(c.Document, c.Global, c.Service, c.DefaultVersion, c.Instances, req)
}

// Random makes a case with that many requests. The documents are valid, and
// hostile: everything is taken from small alphabets, so that names collide,
// targets are empty and slots lie at the edges of the arms.
func Random(r *rand.Rand, requests int) Case {
	g := generator{r}
	c := Case{Service: pick(g, "order", "pay.v1")}
	if g.chance(92) {
		c.Document = g.document(c.Service)
	}
	if g.chance(60) {
		c.Global = g.global()
	}
	if g.chance(30) {
		c.DefaultVersion = g.version()
	}
	c.Instances = g.instances()
	c.Caller = g.caller()
	at := edges(c.Document)
	for range requests {
		c.Requests = append(c.Requests, g.request(c.Caller, at))
	}
	return c
}

// generator draws the parts of cases.
type generator struct{ *rand.Rand }

// chance is true in that many of 100 cases.
func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// some returns between least and most different ones of from, in any order.
func some[T any](g generator, least, most int, from ...T) []T {
	g.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return from[:least+g.IntN(min(most, len(from))-least+1)]
}

func (g generator) version() string { return pick(g, "v1", "v1", "v2", "v2", "v3") }

func (g generator) lane() string { return pick(g, "l1", "l2", "canary-v2", "2.10") }

// text is a value as documents compare it and requests send it.
func (g generator) text() string {
	return pick(g, "v1", "v1", "v2", "v3", "l1", "u1", "u2", "ab", "1.5", "2.10", "-3", "盐")
}

// odd is a value that only a request has: of another form than it seems, or at
// the limit of length.
func (g generator) odd() string {
	switch g.IntN(8) {
	case 0:
		return "v1" + strings.Repeat("b", maxValue-2+g.IntN(2))
	case 1:
		return "1." + strings.Repeat("5", maxValue-2+g.IntN(2))
	case 2:
		return strings.Repeat("n", 64+g.IntN(2))
	default:
		return pick(g, "", "", " ", "v9", "bad name", "-x", "V1", "v1\n", "1e3", "+1", "1.5", "01.50", "2.", ".5", "-0", "١", "\xff")
	}
}

// instances draws a list; in some nobody is usable.
func (g generator) instances() []Instance {
	healthy, enabled, inLane := pick(g, 100, 90, 60, 0), pick(g, 100, 95, 80, 20), pick(g, 0, 10, 40)
	list := []Instance{}
	for _, addr := range some(g, 0, 9, addresses()...) {
		in := Instance{
			Addr: addr, Weight: 1, Healthy: g.chance(healthy), Enabled: g.chance(enabled),
			Cluster: g.cluster(), Metadata: map[string]string{},
		}
		if g.chance(30) {
			in.Weight = pick(g, 0, 0.001, 0.5, 1.5, 2.25, 100)
		}
		if g.chance(90) {
			in.Metadata["version"] = g.version()
		}
		if g.chance(inLane) {
			in.Metadata["lane"] = pick(g, "", "-x", g.lane(), g.lane(), g.lane())
		}
		if g.chance(10) {
			in.Metadata["cluster"] = pick(g, "", "C1", "C2")
		}
		g.place(in.Metadata)
		list = append(list, in)
		if g.chance(5) {
			in.Cluster += "-twin" // The same address, in two clusters.
			list = append(list, in)
		}
	}
	return list
}

func (g generator) cluster() string { return pick(g, "DEFAULT", "DEFAULT", "C1", "C2", "") }

// place adds labels that say where something runs.
func (g generator) place(labels map[string]string) {
	if g.chance(50) {
		labels["env"] = pick(g, "gray", "gray", "prod", "")
	}
	if g.chance(70) {
		labels["region"] = pick(g, "sh", "bj")
	}
	if g.chance(60) {
		labels["zone"] = pick(g, "a", "b", "1.5", "")
	}
}

// addresses are those of instances. One address has many spellings in IPv6.
func addresses() []string {
	return []string{
		"10.0.0.1:80", "10.0.0.1:8080", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80",
		"[2001:db8::1]:80", "[2001:db8::2]:80", "[2001:DB8:0::3]:80",
	}
}

// isolated are addresses as documents name them.
func isolated() []string {
	return append(addresses(),
		"10.9.9.9:80", "[2001:db8:0:0:0:0:0:1]:80", "[2001:DB8::2]:80", "[2001:db8::3]:80", "[::ffff:10.0.0.1]:80")
}

// caller draws the labels of the process that evaluates the rules.
func (g generator) caller() map[string]string {
	if g.chance(5) {
		return map[string]string{}
	}
	labels := map[string]string{"service": pick(g, "web", "gw")}
	if g.chance(60) {
		labels["version"] = g.version()
	}
	if g.chance(50) {
		labels["cluster"] = g.cluster()
	}
	if g.chance(20) {
		labels["lane"] = g.lane()
	}
	g.place(labels)
	if g.chance(3) {
		labels[pick(g, "version", "zone")] = g.odd()
	}
	return labels
}

// global draws a global document.
func (g generator) global() *Global {
	doc := &Global{Lanes: map[string]Lane{}, Style: g.style()}
	for _, name := range some(g, 0, 3, "l1", "l2", "canary-v2", "2.10") {
		l := Lane{Fail: g.chance(40)}
		if g.chance(50) {
			l.Match = g.labels()
		}
		doc.Lanes[name] = l
	}
	return doc
}

// labels draws what the instances of a target, or of a lane, carry.
func (g generator) labels() map[string]string {
	labels := map[string]string{}
	for _, name := range some(g, 1, 2, "version", "version", "version", "env", "lane", "cluster", "region") {
		switch name {
		case "version":
			labels[name] = g.version()
		case "env":
			labels[name] = "gray"
		case "lane":
			labels[name] = g.lane()
		case "cluster":
			labels[name] = pick(g, "DEFAULT", "C1", "C2")
		default:
			labels[name] = pick(g, "sh", "bj")
		}
	}
	return labels
}

func (g generator) style() Style {
	return Style{Flow: g.chance(30), Single: g.chance(30), Long: g.chance(30)}
}

// edges returns the slots at which an arm of the document may begin or end.
func edges(doc *Document) []int {
	at := []int{0, slots - 1}
	if doc == nil {
		return at
	}
	for i := range doc.Rules {
		for _, s := range doc.Rules[i].spans(doc.Default) {
			at = append(at, s.from-1, s.from, s.to-1, s.to)
		}
	}
	return slices.DeleteFunc(at, func(slot int) bool { return slot < 0 || slot >= slots })
}
