package resolver

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/graylane/graylane/registry"
)

// InstanceState says what keeps an instance from requests.
type InstanceState uint8

// The states of an instance. Where several apply, the first one here counts.
const (
	// Usable: it may get requests.
	Usable InstanceState = iota
	// Disabled: it was taken out of traffic in the registry.
	Disabled
	// Weightless: its weight is 0.
	Weightless
	// Isolated: the rule document keeps requests from its address.
	Isolated
	// Unhealthy: the registry says so.
	Unhealthy
	// Ejected: it has failed requests of this process, or does not answer.
	Ejected
	// Held: the registry does not list it any more, which is not believed yet. It gets
	// requests.
	Held
)

// String returns "usable", "disabled" and so on.
func (s InstanceState) String() string {
	names := [...]string{"usable", "disabled", "weightless", "isolated", "unhealthy", "ejected", "held"}
	if int(s) >= len(names) {
		return ""
	}
	return names[s]
}

// InstanceStatus is what this process knows of an instance.
type InstanceStatus struct {
	*registry.Instance // read-only

	State InstanceState
	// InFlight is the number of requests of this process that wait for its answer.
	InFlight int64
	// Latency is the usual time to the first byte of its answers; 0: not known.
	Latency time.Duration
}

// Instances returns what is known of the instances now, in the order of the snapshot;
// nil before the first state. It is for pages and metrics: it costs an allocation, and
// some reads for each instance.
func (v *View) Instances() []InstanceStatus {
	s := v.State()
	if s == nil {
		return nil
	}
	now := v.resolver.now()
	out := make([]InstanceStatus, 0, s.Snapshot.Len())
	for i, in := range s.Snapshot.All() {
		e := s.Director.Endpoint(i)
		out = append(out, InstanceStatus{in, s.state(i, now), e.InFlight(), e.Usual()})
	}
	return out
}

// state returns the state of the snapshot's instance i.
func (s *State) state(i int, now int64) InstanceState {
	in := s.Snapshot.At(i)
	_, held := s.held[in.ID]
	switch {
	case !in.Enabled:
		return Disabled
	case in.Weight == 0:
		return Weightless
	case s.Director.Isolated(in):
		return Isolated
	case !in.Healthy:
		return Unhealthy
	case s.Director.Endpoint(i).Ejected(now):
		return Ejected
	case held:
		return Held
	}
	return Usable
}

// Withdrawn returns the targets that the guard keeps requests from now, sorted.
func (v *View) Withdrawn() []string {
	if s := v.State(); s != nil {
		return s.Director.Withdrawn(v.resolver.now())
	}
	return nil
}

// Views returns the views that are open, sorted by service and protocol. They are not
// kept open by it.
func (r *Resolver) Views() []*View {
	r.mu.Lock()
	views := make([]*View, 0, len(r.views))
	for _, v := range r.views {
		views = append(views, v)
	}
	r.mu.Unlock()
	slices.SortFunc(views, func(a, b *View) int {
		return cmp.Or(strings.Compare(a.key.service.String(), b.key.service.String()), strings.Compare(a.key.protocol, b.key.protocol))
	})
	return views
}
