package nacostest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/graylane/graylane/registry"
)

// Register adds an instance that no connection holds, or replaces the one that
// was added for the same ip:port. It stays until Deregister.
func (s *Server) Register(svc registry.Service, in Instance) {
	in = in.normal()
	s.naming.publish(httpPublisher(in), svc.WithDefaults(), publication{instances: []Instance{in}})
}

// Deregister removes the instance that Register, or an HTTP client, added for
// the same ip:port.
func (s *Server) Deregister(svc registry.Service, in Instance) {
	s.naming.publish(httpPublisher(in), svc.WithDefaults(), publication{})
}

// Edit does what the console does to the instance with the address and cluster
// of in: weight and enabled replace the provider's, metadata is laid over the
// provider's key by key. The next Edit replaces all of this one. It survives a
// new registration, and ends 60 s after the instance is gone. It reports whether
// the service exists; like in Nacos, the instance need not.
func (s *Server) Edit(svc registry.Service, in Instance) bool {
	return s.naming.edit(svc.WithDefaults(), in)
}

// Instances returns all instances of a service as the server holds them now,
// the disabled ones too, with edits laid over, sorted by address. The same
// address may be there more than once, as in Nacos: registered on two
// connections with different values.
func (s *Server) Instances(svc registry.Service) []Instance {
	list := slices.Clone(s.naming.instances(svc.WithDefaults()))
	for i := range list {
		list[i].Metadata = maps.Clone(list[i].Metadata)
	}
	return list
}

// AwaitInstances waits until the server holds exactly n instances of a service
// and returns them as Instances does.
func (s *Server) AwaitInstances(ctx context.Context, svc registry.Service, n int) ([]Instance, error) {
	for {
		count, changed := s.naming.watch(svc.WithDefaults(), n)
		if count == n {
			if list := s.Instances(svc); len(list) == n {
				return list, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("nacostest: %v has %d instances, want %d: %w", svc, count, n, context.Cause(ctx))
		}
	}
}

// watch counts a service's instances and returns a channel that closes at the
// next change of anything. The count is exact if it could be n.
func (n *naming) watch(id registry.Service, want int) (count int, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	svc := n.services[id]
	switch {
	case svc == nil:
		return 0, n.changed
	case svc.count < want:
		return svc.count, n.changed // merging makes it only fewer
	default:
		return len(svc.build()), n.changed
	}
}
