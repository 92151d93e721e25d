package promx

import (
	"maps"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/internal/words"
)

// meter returns the meter of a call's service and protocol.
func (m *Metrics) meter(c *resolver.Call) *meter {
	if c.State != nil {
		if t := (*m.current.Load())[c.State.Snapshot]; t != nil {
			return t
		}
	}
	s, protocol, meters := c.Service(), c.Protocol(), *m.meters.Load()
	if t := meters[meterKey{s, protocol}]; t != nil {
		return t
	}
	if t := meters[meterKey{protocol: protocol}]; t != nil { // there is no room for more
		return t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.admitted(s, protocol)
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

// admitted returns the meter of a service, a new one if there is room; mu is held.
func (m *Metrics) admitted(of registry.Service, protocol string) *meter {
	k := meterKey{of, protocol}
	meters := *m.meters.Load()
	if t := meters[k]; t != nil {
		return t
	}
	s, shown := m.service(words.Service(of)), protocolLabel(protocol)
	t := s.meters[shown]
	if t == nil {
		t = m.newMeter(s, shown)
		s.meters[shown] = t
	}
	if s == m.rest {
		t.learned.Store(&edition{revision: math.MaxUint64}) // of these nothing is told apart
		k.service = registry.Service{}
	}
	meters = maps.Clone(meters)
	meters[k] = t
	m.meters.Store(&meters)
	return t
}

// service returns the service of a label, a new one if there is room; mu is held.
func (m *Metrics) service(label string) *service {
	if s := m.services[label]; s != nil {
		return s
	}
	if len(m.services) < MaxServices {
		s := m.newService(label)
		m.services[label] = s
		return s
	}
	if m.rest == nil {
		m.rest = m.newService(Other)
	}
	return m.rest
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

// update learns what a new state names, and takes note of its view.
func (m *Metrics) update(v *resolver.View, s *resolver.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	label := words.Service(v.Service())
	if m.services[label] == nil && len(m.services) >= MaxServices {
		m.makeRoom()
	}
	t := m.admitted(v.Service(), v.Protocol())
	if t.service == m.rest {
		return
	}
	t.service.views[t.protocol] = v
	t.admit(s)
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
		delete(m.services, label)
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
