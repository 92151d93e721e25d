package promx

import (
	"maps"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graylane/graylane/internal/words"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// there reports whether a state shows that somebody has set its service up: it has had an
// instance, or has a document. What a request named may be neither.
func there(s *resolver.State) bool {
	return s != nil && (s.Known() || s.RulesDoc.MD5 != "" || s.RulesDoc.Refused != nil)
}

// meter returns the meter of a call's service and protocol.
func (m *Metrics) meter(c *resolver.Call) *meter {
	if c.State != nil {
		if t := (*m.current.Load())[c.State.Snapshot]; t != nil {
			return t
		}
	}
	k, meters := meterKey{c.Service(), c.Protocol()}, *m.meters.Load()
	if t := meters[k]; t != nil {
		return t
	}
	if !there(c.State) || m.full.Load() {
		k.service = registry.Service{}
		if t := meters[k]; t != nil {
			return t
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.admitted(k)
}

// of returns the service of an event. Events are of instances, and no request makes one
// of a service that has had none.
func (m *Metrics) of(s registry.Service) *service {
	if known := (*m.names.Load())[s]; known != nil {
		return known
	}
	if rest := m.rest.Load(); rest != nil && m.full.Load() {
		return rest
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.service(s)
}

// show makes a snapshot the one that a meter's view has now, nil for none; mu is held.
func (m *Metrics) show(t *meter, s *registry.Snapshot) {
	if t.snapshot == s {
		return
	}
	current := maps.Clone(*m.current.Load())
	delete(current, t.snapshot)
	if t.snapshot = s; s != nil {
		current[s] = t
	}
	m.current.Store(&current)
}

// admitted returns the meter of a service, a new one if there is room; that of all others
// if the key has no service. mu is held.
func (m *Metrics) admitted(k meterKey) *meter {
	meters := *m.meters.Load()
	if t := meters[k]; t != nil {
		return t
	}
	s, shown := m.service(k.service), protocolLabel(k.protocol)
	t := s.meters[shown]
	if t == nil {
		t = m.newMeter(s, shown)
		s.meters[shown] = t
	}
	if s == m.rest.Load() {
		t.learned.Store(&edition{sequence: math.MaxUint64}) // of these nothing is told apart
		k.service = registry.Service{}
	}
	meters = maps.Clone(meters)
	meters[k] = t
	m.meters.Store(&meters)
	return t
}

// service returns what is counted of a service, under a new label if there is room; of
// none, and of those that have no label of their own, the rest. mu is held.
func (m *Metrics) service(of registry.Service) *service {
	label := words.Service(of)
	s := m.services[label]
	if s == nil && (of == registry.Service{} || len(m.services) >= MaxServices) {
		if m.rest.Load() == nil {
			m.rest.Store(m.newService(Other))
		}
		return m.rest.Load()
	}
	if s == nil {
		s = m.newService(label)
		m.services[label] = s
		m.full.Store(len(m.services) >= MaxServices)
	}
	if names := *m.names.Load(); names[of] == nil {
		names = maps.Clone(names)
		names[of] = s
		m.names.Store(&names)
	}
	return s
}

// protocolLabel is the label of a protocol: a view may be opened for any word.
func protocolLabel(protocol string) string {
	switch protocol {
	case "", "http", "grpc":
		return protocol
	}
	return Other
}

func (m *Metrics) newService(label string) *service {
	s := &service{
		label: label, meters: map[string]*meter{}, views: map[string]*resolver.View{},
		ejections: m.ejections.WithLabelValues(label), returns: m.returns.WithLabelValues(label),
		held: m.held.WithLabelValues(label),
	}
	s.known.Store(&known{})
	return s
}

func (m *Metrics) newMeter(s *service, protocol string) *meter {
	t := &meter{metrics: m, service: s, protocol: protocol, retries: m.retries.WithLabelValues(s.label, protocol)}
	for r := range words.Reasons {
		t.refusals[r] = m.refusals.WithLabelValues(s.label, protocol, r.String())
	}
	return t
}

// update learns what a new state names, and takes note of its view. A view that has ended
// may have a successor that was here before it.
func (m *Metrics) update(v *resolver.View, s *resolver.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.services[words.Service(v.Service())] != nil
	if v.Err() != nil || !known && !there(s) {
		return
	}
	if !known && len(m.services) >= MaxServices {
		m.makeRoom()
	}
	t := m.admitted(meterKey{v.Service(), v.Protocol()})
	if t.service == m.rest.Load() {
		return
	}
	t.service.views[t.protocol] = v
	t.admit(v, s)
	m.show(t, s.Snapshot)
}

// makeRoom drops a service that has no open view, if there is one; mu is held.
func (m *Metrics) makeRoom() {
	for label, s := range m.services {
		m.sweep(s)
		if len(s.views) > 0 {
			continue
		}
		meters := maps.Clone(*m.meters.Load())
		maps.DeleteFunc(meters, func(_ meterKey, t *meter) bool { return t.service == s })
		m.meters.Store(&meters)
		names := maps.Clone(*m.names.Load())
		maps.DeleteFunc(names, func(_ registry.Service, named *service) bool { return named == s })
		m.names.Store(&names)
		delete(m.services, label)
		m.full.Store(false)
		m.drop(s, prometheus.Labels{})
		return
	}
}

// sweep forgets the views of a service that have ended, and what they used; mu is held.
func (m *Metrics) sweep(s *service) {
	maps.DeleteFunc(s.views, func(protocol string, v *resolver.View) bool {
		if v.Err() == nil {
			return false
		}
		s.meters[protocol].inUse = nil
		m.show(s.meters[protocol], nil)
		return true
	})
}

// open is a service with its open views, and what is known of its labels.
type open struct {
	label string
	known *known
	views []view // by protocol
}

type view struct {
	*resolver.View
	protocol string
	state    *resolver.State
}

// open returns the services that have an open view with a state.
func (m *Metrics) open() []open {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []open
	for _, s := range m.services {
		m.sweep(s)
		o := open{label: s.label, known: s.known.Load()}
		for _, protocol := range slices.Sorted(maps.Keys(s.views)) {
			if state := s.views[protocol].State(); state != nil {
				o.views = append(o.views, view{s.views[protocol], protocol, state})
			}
		}
		if len(o.views) > 0 {
			out = append(out, o)
		}
	}
	return out
}
