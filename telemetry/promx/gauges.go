package promx

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/resolver"
)

// gauges describe what is computed when it is asked for.
type gauges struct {
	instances, info, refused, applied, delay, share                      *prometheus.Desc
	listStaleness, rulesStaleness, held, fromCache, several, withdrawals *prometheus.Desc
}

func newGauges() *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("graylane_"+name, help, labels, nil)
	}
	return &gauges{
		instances:      desc("instances", "Instances, by what keeps them from requests.", "service", "protocol", "version", "state"),
		info:           desc("rules_info", "1; the md5 says which rule document is in force, by its first 8 digits.", "service", "md5"),
		refused:        desc("rules_refused", "1 while the newest rule document is refused.", "service"),
		applied:        desc("rules_applied_timestamp_seconds", "When the rule document was put in force.", "service"),
		delay:          desc("rules_apply_delay_seconds", "How long that took from the notice of the change.", "service"),
		share:          desc("rule_share", "The share of a split that the rule document gives to a target, 0 to 1.", "service", "rule", "target"),
		listStaleness:  desc("list_staleness_seconds", "How long ago the list of instances was confirmed.", "service", "protocol"),
		rulesStaleness: desc("rules_staleness_seconds", "How long ago the rule document was confirmed.", "service", "protocol"),
		held:           desc("held_instances", "Instances in use that the registry does not list any more.", "service", "protocol"),
		fromCache:      desc("from_cache", "1 while the list is that of an earlier process.", "service", "protocol"),
		several:        desc("several_versions", "1 while several versions serve and no rule says who gets which.", "service", "protocol"),
		withdrawals:    desc("guard_withdrawn", "1 while the guard keeps requests from the target.", "service", "protocol", "target"),
	}
}

func (g *gauges) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		g.instances, g.info, g.refused, g.applied, g.delay, g.share, g.listStaleness, g.rulesStaleness, g.held, g.fromCache,
		g.several, g.withdrawals,
	} {
		ch <- d
	}
}

// sink takes the values of one service.
type sink struct {
	ch      chan<- prometheus.Metric
	service string
}

// put sends a value; the label service goes before the others.
func (s sink) put(d *prometheus.Desc, value float64, labels ...string) {
	metric, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, append([]string{s.service}, labels...)...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	s.ch <- metric
}

func (s sink) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	s.put(d, value, labels...)
}

// age sends how old something is, unless that is not known.
func (s sink) age(d *prometheus.Desc, at time.Time, labels ...string) {
	if !at.IsZero() {
		s.put(d, max(time.Since(at).Seconds(), 0), labels...)
	}
}

func (g *gauges) collect(ch chan<- prometheus.Metric, o open) {
	s := sink{ch, o.label}
	g.rules(s, &o.views[0].state.RulesDoc)
	g.shares(s, o.views[0].state.Rules, o.known)
	for i := range o.views {
		v := &o.views[i]
		list, doc := v.Synced()
		s.age(g.listStaleness, list, v.protocol)
		s.age(g.rulesStaleness, doc, v.protocol)
		s.put(g.held, float64(v.state.Held), v.protocol)
		s.flag(g.fromCache, v.state.Cached, v.protocol)
		s.flag(g.several, v.state.SeveralVersions, v.protocol)
		g.count(s, v, o.known)
		g.guards(s, v, o.known)
	}
}

// rules tells of the rule document, which is that of all views of a service.
func (g *gauges) rules(s sink, doc *resolver.DocStatus) {
	s.put(g.info, 1, doc.MD5[:min(8, len(doc.MD5))])
	s.flag(g.refused, doc.Refused != nil)
	if !doc.Since.IsZero() {
		s.put(g.applied, float64(doc.Since.UnixMilli())/1000)
	}
	if doc.Took > 0 {
		s.put(g.delay, doc.Took.Seconds())
	}
}

// shares tells what the splits in force are to be; picks_total tells what they are.
func (g *gauges) shares(s sink, doc *config.Rules, k *known) {
	if doc == nil || !doc.Enabled {
		return
	}
	slots := map[[2]string]int{} // by rule and target
	for i := range doc.Rules {
		r := &doc.Rules[i]
		if !r.Enabled || !r.Split {
			continue
		}
		rule, rest := k.label(rules, r.Name), config.Slots
		for _, arm := range r.To {
			slots[[2]string{rule, k.label(targets, arm.Target)}] += arm.To - arm.From
			rest -= arm.To - arm.From
		}
		slots[[2]string{rule, k.label(targets, doc.Default)}] += rest
	}
	for by, n := range slots {
		s.put(g.share, float64(n)/config.Slots, by[0], by[1])
	}
}

// count counts the instances. Of the states that nobody is in only the usable one is
// sent: 0 of a version is worth knowing.
func (g *gauges) count(s sink, v *view, k *known) {
	type class struct {
		version string
		state   resolver.InstanceState
	}
	count := map[class]int{}
	for _, in := range v.Instances() {
		version := k.label(versions, in.Version())
		count[class{version, resolver.Usable}] += 0
		count[class{version, in.State}]++
	}
	for c, n := range count {
		s.put(g.instances, float64(n), v.protocol, c.version, c.state.String())
	}
}

// guards tells which targets are withdrawn, and which of those that rules name are not.
func (g *gauges) guards(s sink, v *view, k *known) {
	if v.state.Rules == nil || v.state.Rules.Guard == nil {
		return
	}
	withdrawn := map[string]bool{}
	for i := range v.state.Rules.Rules {
		for _, arm := range v.state.Rules.Rules[i].To {
			withdrawn[k.label(targets, arm.Target)] = false
		}
	}
	delete(withdrawn, v.state.Rules.Default)
	for _, name := range v.Withdrawn() {
		withdrawn[k.label(targets, name)] = true
	}
	for target, is := range withdrawn {
		s.flag(g.withdrawals, is, v.protocol, target)
	}
}
