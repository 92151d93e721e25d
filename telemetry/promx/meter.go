package promx

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// maxPicks and maxAttempts are how many combinations of label values of one service and
// protocol are told apart: all rules times all targets would be too many.
const (
	maxPicks    = 1024
	maxAttempts = 256
)

// service is what all protocols of a service share.
type service struct {
	label string
	known atomic.Pointer[known]

	ejections, returns, held prometheus.Counter

	meters map[string]*meter         // by protocol; guarded by Metrics.mu
	views  map[string]*resolver.View // by protocol; guarded by Metrics.mu
}

// meterKey names a meter.
type meterKey struct {
	service  registry.Service
	protocol string
}

// meter counts the requests to one service over one protocol.
type meter struct {
	metrics  *Metrics
	service  *service
	protocol string

	refusals [words.Reasons]prometheus.Counter
	retries  prometheus.Counter
	picks    cache[pickKey, pick]
	attempts cache[attemptKey, attempt]

	learned atomic.Pointer[edition]
	// Guarded by Metrics.mu; nil once the view has ended.
	inUse    *values            // by the newest state
	snapshot *registry.Snapshot // the newest
}

// edition says which state's values are known.
type edition struct {
	view     *resolver.View // nil before its first OnUpdate
	sequence uint64
}

type pickKey struct {
	rule, target string
	via          balancer.Via
	fallback     balancer.Fallback
	keyless      bool
}

type pick struct{ count, keyless prometheus.Counter }

type attemptKey struct{ version, rule string }

type attempt struct {
	results  [words.Results]prometheus.Counter
	duration prometheus.Observer
}

// cache is a map that is read without a lock. Writers hold Metrics.mu.
type cache[K comparable, V any] struct{ p atomic.Pointer[map[K]*V] }

func (c *cache[K, V]) get(k K) *V {
	if m := c.p.Load(); m != nil {
		return (*m)[k]
	}
	return nil
}

func (c *cache[K, V]) put(k K, v *V) *V {
	m := map[K]*V{}
	if old := c.p.Load(); old != nil {
		m = maps.Clone(*old)
	}
	m[k] = v
	c.p.Store(&m)
	return v
}

func (c *cache[K, V]) len() int {
	if m := c.p.Load(); m != nil {
		return len(*m)
	}
	return 0
}

// forget makes the meter look for its counters again.
func (t *meter) forget() {
	t.picks.p.Store(nil)
	t.attempts.p.Store(nil)
}

// picked counts a request that found an instance.
func (t *meter) picked(c *resolver.Call) {
	d := &c.Decision
	k := pickKey{d.Rule, d.Target, d.Via, d.Fallback, d.Keyless}
	p := t.picks.get(k)
	if p == nil {
		p = t.pick(k, c.State)
	}
	p.count.Inc()
	if p.keyless != nil {
		p.keyless.Inc()
	}
}

// done counts an attempt that has ended. How long somebody has waited who left says
// little, and is not observed.
func (t *meter) done(c *resolver.Call, v balancer.Verdict, took time.Duration) {
	k := attemptKey{c.Instance().Version(), c.Decision.Rule}
	a := t.attempts.get(k)
	if a == nil {
		a = t.attempt(k, c.State)
	}
	a.results[v%words.Results].Inc()
	if v != balancer.Nothing {
		a.duration.Observe(took.Seconds())
	}
}

// pick returns the counters of a request that differs from all before it, in what a
// request may say itself perhaps.
func (t *meter) pick(k pickKey, s *resolver.State) *pick {
	label := func(k pickKey) pickKey {
		known := t.service.known.Load()
		k.rule, k.target = known.label(rules, k.rule), known.label(targets, k.target)
		return k
	}
	labelled := label(k)
	if labelled != k && t.learn(s) {
		labelled = label(k)
	}
	if p := t.picks.get(labelled); p != nil {
		return p
	}
	t.metrics.mu.Lock()
	defer t.metrics.mu.Unlock()
	if labelled = label(k); t.picks.len() >= maxPicks {
		labelled.rule, labelled.target = Other, Other
	}
	if p := t.picks.get(labelled); p != nil {
		return p
	}
	p := &pick{count: t.metrics.picks.WithLabelValues(t.service.label, t.protocol, labelled.rule,
		labelled.via.String(), labelled.target, labelled.fallback.String())}
	if labelled.keyless {
		p.keyless = t.metrics.keyless.WithLabelValues(t.service.label, labelled.rule)
	}
	return t.picks.put(labelled, p)
}

// attempt is pick for the end of an attempt.
func (t *meter) attempt(k attemptKey, s *resolver.State) *attempt {
	label := func(k attemptKey) attemptKey {
		known := t.service.known.Load()
		return attemptKey{known.label(versions, k.version), known.label(rules, k.rule)}
	}
	labelled := label(k)
	if labelled != k && t.learn(s) {
		labelled = label(k)
	}
	if a := t.attempts.get(labelled); a != nil {
		return a
	}
	t.metrics.mu.Lock()
	defer t.metrics.mu.Unlock()
	if labelled = label(k); t.attempts.len() >= maxAttempts {
		labelled = attemptKey{Other, Other}
	}
	if a := t.attempts.get(labelled); a != nil {
		return a
	}
	a := &attempt{duration: t.metrics.durations.WithLabelValues(t.service.label, t.protocol, labelled.version, labelled.rule)}
	for v := range words.Results {
		a.results[v] = t.metrics.attempts.WithLabelValues(t.service.label, t.protocol, labelled.version, labelled.rule, words.Result(v))
	}
	return t.attempts.put(labelled, a)
}

// learn admits the values of a state if they are newer than what is known, and reports
// whether it has. A state is in force a moment before OnUpdate is called.
func (t *meter) learn(s *resolver.State) bool {
	if !t.newer(s) {
		return false
	}
	t.metrics.mu.Lock()
	defer t.metrics.mu.Unlock()
	if t.newer(s) {
		var v *resolver.View
		if e := t.learned.Load(); e != nil {
			v = e.view
		}
		t.admit(v, s)
	}
	return true
}

// newer reports whether a state may name values that are not known: it is a later one of
// the view that was learned from. One that is not in force is old, or of another view:
// OnUpdate is called for each before the next is in force.
func (t *meter) newer(s *resolver.State) bool {
	e := t.learned.Load()
	return e == nil || s.Sequence > e.sequence && (e.view == nil || e.view.State() == s)
}

// admit makes what a state of a view names labels of their own; Metrics.mu is held.
func (t *meter) admit(v *resolver.View, s *resolver.State) {
	t.learned.Store(&edition{v, s.Sequence})
	t.inUse = valuesOf(s)
	t.service.known.Store(t.service.known.Load().admit(t.inUse,
		func(of kind, value string) bool {
			for _, t := range t.service.meters {
				if t.inUse != nil && t.inUse.has(of, value) {
					return true
				}
			}
			return false
		},
		func(of kind, value string) {
			t.metrics.drop(t.service, prometheus.Labels{of.String(): value})
		}))
}
