package reference

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
)

// world is all that a decision depends on but the request.
type world struct {
	doc       *Document
	global    *Global
	service   string
	instances []Instance
}

// choice is the outcome of the first half of section 3.
type choice struct {
	via, rule, target string
	slot              int
	fail              bool // the rule's missing: fail
	unknown           bool // the request named a target that nobody knows
}

// Decide answers a request as section 3 says. A nil document is section 6, with
// the version that the consumer was started with ("": none); a nil global
// document declares no lane.
func Decide(doc *Document, global *Global, service, defaultVersion string, instances []Instance, req Request) Answer {
	if doc == nil {
		doc = noDocument(defaultVersion)
	}
	if global == nil {
		global = &Global{}
	}
	w := &world{doc, global, service, instances}

	// 1. "enabled: false → the default."
	if doc.Off {
		return w.serve(req, choice{via: "off", target: doc.Default, slot: -1})
	}
	// 2. "The request is in lane L".
	if lane, in := requestLane(req); in {
		c := choice{via: "lane", target: lane, slot: -1}
		if members := w.laneMembers(lane); len(members) > 0 {
			return w.prefer(req, c, "", members)
		}
		if global.Lanes[lane].Fail {
			return failed(c, NoInstance)
		}
	}
	// 3. "Rules, top to bottom, the first that is enabled, whose `when` holds and
	// whose `unless` does not. A rule with `by` also needs the field."
	for i := range doc.Rules {
		if rule := &doc.Rules[i]; rule.matches(req) {
			return w.serve(req, w.apply(rule, req))
		}
	}
	// 4. "No rule → the default."
	return w.serve(req, choice{via: "default", target: doc.Default, slot: -1})
}

// noDocument is section 6: "One rule without a name".
func noDocument(defaultVersion string) *Document {
	return &Document{Default: defaultVersion, Rules: []Rule{{By: "header.x-gray-version"}}}
}

func (r *Rule) matches(req Request) bool {
	if r.Off {
		return false
	}
	if len(r.When) > 0 && !r.When.holds(req) {
		return false
	}
	if len(r.Unless) > 0 && r.Unless.holds(req) {
		return false
	}
	if r.By != "" {
		if _, present := value(req, r.By); !present {
			return false
		}
	}
	return true
}

// apply is the list under step 3 of section 3.
func (w *world) apply(r *Rule, req Request) choice {
	c := choice{via: "rule", rule: r.Name, slot: -1, fail: r.Fail}
	switch {
	case r.By != "":
		c.target, _ = value(req, r.By)
		c.unknown = !w.known(c.target)
	case r.Arms != nil:
		c.target, c.slot = r.split(req, w.service, w.doc.Default)
	default:
		c.target = r.To
	}
	return c
}

// known: "Unknown name (not declared; or, without `targets`, not a name at all)".
func (w *world) known(target string) bool {
	if w.doc.Targets == nil {
		return isName(target)
	}
	_, declared := w.doc.Targets[target]
	return declared
}

// serve is "Then the candidates" of section 3.
func (w *world) serve(req Request, c choice) Answer {
	fallback := ""
	if c.unknown {
		c.target = ""
		if c.fail {
			return failed(c, UnknownTarget)
		}
		// "the target is the default, with fallback: default unless a later step
		// says more".
		c.target = w.doc.Default
		fallback = "default"
	}
	// "the target's usable instances".
	candidates := w.members(c.target, w.usable)
	// "if none and the target is not the default: missing: fail → no_instance,
	// else the default's usable instances".
	if len(candidates) == 0 && c.target != w.doc.Default {
		if c.fail {
			return failed(c, NoInstance)
		}
		candidates = w.members(w.doc.Default, w.usable)
		fallback = "default"
	}
	// "the default has none usable: its instances that are enabled, of weight
	// above 0 and not isolated, whatever their health".
	if len(candidates) == 0 {
		candidates = w.members(w.doc.Default, w.usableButHealth)
		fallback = "panic"
	}
	// "none either: degrade: any → all usable baseline instances; else
	// no_instance".
	if len(candidates) == 0 {
		if !w.doc.DegradeAny {
			return failed(c, NoInstance)
		}
		candidates = w.anyBaseline()
		fallback = "any"
	}
	if len(candidates) == 0 {
		return failed(c, NoInstance)
	}
	return w.prefer(req, c, fallback, candidates)
}

// prefer is "Then `prefer`" of section 3: it makes the answer.
func (w *world) prefer(req Request, c choice, fallback string, candidates []Instance) Answer {
	skipped := []string{}
	for _, label := range w.doc.Prefer {
		// A label, not a FIELD: the limit of a value's length does not hold here.
		own, has := req.Caller[label]
		if !has {
			continue // "no such label at the caller: passed over, not noted".
		}
		var kept []Instance
		for _, in := range candidates {
			if v, carries := in.label(label); carries && v == own {
				kept = append(kept, in)
			}
		}
		if len(kept) == 0 || weight(kept)*slots < w.doc.PreferMin*weight(candidates) {
			skipped = append(skipped, label)
			continue
		}
		candidates = kept
	}
	addrs := []string{}
	for _, in := range candidates {
		addrs = append(addrs, in.Addr)
	}
	slices.Sort(addrs)
	return Answer{
		Via: c.via, Rule: c.rule, Slot: c.slot, Target: c.target,
		Fallback: fallback, Skipped: skipped, Candidates: addrs,
	}
}

// failed: "then no candidates; fallback is """.
func failed(c choice, err string) Answer {
	return Answer{
		Via: c.via, Rule: c.rule, Slot: c.slot, Target: c.target,
		Skipped: []string{}, Candidates: []string{}, Error: err,
	}
}

// members returns the instances of a target that are good. "A target holds
// baseline instances only, unless its own labels name `lane`".
func (w *world) members(target string, good func(Instance) bool) []Instance {
	labels := w.labels(target)
	_, namesLane := labels["lane"]
	var out []Instance
	for _, in := range w.instances {
		if in.carries(labels) && (namesLane || in.baseline()) && good(in) {
			out = append(out, in)
		}
	}
	return out
}

// labels returns what the instances of a target carry. The target "" is section
// 6's open default: every baseline instance.
func (w *world) labels(target string) map[string]string {
	if target == "" {
		return nil
	}
	if w.doc.Targets != nil {
		return w.doc.Targets[target]
	}
	return map[string]string{"version": target}
}

// laneMembers: "the lane's instances are those with {lane: L}, or, instead of
// that, what the global document's lanes.L.match says, over all instances".
func (w *world) laneMembers(lane string) []Instance {
	labels := w.global.Lanes[lane].Match
	if labels == nil {
		labels = map[string]string{"lane": lane}
	}
	var out []Instance
	for _, in := range w.instances {
		if in.carries(labels) && w.usable(in) {
			out = append(out, in)
		}
	}
	return out
}

func (w *world) anyBaseline() []Instance {
	var out []Instance
	for _, in := range w.instances {
		if in.baseline() && w.usable(in) {
			out = append(out, in)
		}
	}
	return out
}

// usable: "enabled, healthy, its weight is above 0, and its address is not
// isolated".
func (w *world) usable(in Instance) bool { return in.Healthy && w.usableButHealth(in) }

func (w *world) usableButHealth(in Instance) bool {
	return in.Enabled && in.Weight > 0 && !w.isolated(in.Addr)
}

// isolated: addresses are "compared as parsed".
func (w *world) isolated(addr string) bool {
	parsed, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	for _, text := range w.doc.Isolate {
		if other, err := netip.ParseAddrPort(text); err == nil && other == parsed {
			return true
		}
	}
	return false
}

// label: "Its labels are its metadata, and `cluster`, its Nacos cluster, where the
// metadata has none".
func (in Instance) label(name string) (string, bool) {
	if v, ok := in.Metadata[name]; ok {
		return v, true
	}
	if name != "cluster" {
		return "", false
	}
	// The text names no cluster for an instance without one; Nacos's own is this.
	return cmp.Or(in.Cluster, "DEFAULT"), true
}

func (in Instance) carries(labels map[string]string) bool {
	for name, want := range labels {
		if v, ok := in.label(name); !ok || v != want {
			return false
		}
	}
	return true
}

// baseline: "Baseline instances carry no `lane` label (or an empty one)".
func (in Instance) baseline() bool {
	lane, carries := in.label("lane")
	return !carries || lane == ""
}

// weight is the weight of the instances in thousandths.
func weight(instances []Instance) int {
	sum := 0
	for _, in := range instances {
		sum += int(math.Round(in.Weight * 1000))
	}
	return sum
}
