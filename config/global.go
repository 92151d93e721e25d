package config

// Global is a global document that was accepted: what holds for all services. It
// is immutable.
type Global struct {
	// MD5 is the digest of the document: its revision.
	MD5 string
	// Lanes are the declared lanes. Another lane L is {lane: L}, and is not strict.
	Lanes map[string]Lane
	// Enter are the rules by which an edge puts a request into a lane: the first
	// match wins. Their targets are lanes; none has By.
	Enter []Rule
}

// Lane is a declared lane.
type Lane struct {
	// Match are the labels of its instances; nil: lane, with its name.
	Match map[string]string
	// Strict is `missing: fail`: where a service has no instance of the lane, its
	// requests are an error instead of the baseline's.
	Strict bool
}

// ParseGlobal reads the global document, as ParseRules reads a service's.
func ParseGlobal(file string, content []byte) (*Global, Problems) {
	r := &reader{file: file}
	g := Global{}
	if root := r.root(content); root != nil {
		readFields(r, root, free, []field[Global]{
			version[Global](),
			{name: "lanes", read: (*reader).lanes},
			{name: "enter", read: (*reader).enter},
		}, &g)
	}
	if r.accepted() {
		g.MD5 = digest(content)
		memorize(ruleListFields(g.Enter))
	}
	return finish(r, &g)
}

func (r *reader) lanes(n *node, g *Global) {
	if !r.want(n, mapping) {
		return
	}
	g.Lanes = make(map[string]Lane, len(n.pairs))
	for _, p := range n.pairs {
		name, _ := r.name(p.key, ValidName)
		if !r.want(p.value, mapping) {
			continue
		}
		var l Lane
		readFields(r, p.value, closed, []field[Lane]{
			{name: "match", read: func(r *reader, n *node, l *Lane) { l.Match = r.labels(n) }},
			{name: "missing", read: func(r *reader, n *node, l *Lane) { l.Strict = r.word(n, "baseline", "fail") == 1 }},
		}, &l)
		g.Lanes[name] = l
	}
}

func (r *reader) enter(n *node, g *Global) {
	fields := append(ruleFields(), field[ruleDraft]{name: "lane", required: true, read: func(r *reader, n *node, d *ruleDraft) {
		r.arms(n, d, func(n *node) (string, bool) { return r.name(n, ValidName) })
	}})
	r.ruleList(n, fields, func() *ruleDraft { return &ruleDraft{} }, func(item *node, rule *ruleDraft) {
		rule.all = len(rule.To) > 0 && !rule.Split
		r.split(item, "lane", "enter", rule)
		g.Enter = append(g.Enter, rule.Rule)
	})
}
