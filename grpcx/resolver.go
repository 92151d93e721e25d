package grpcx

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/codes"
	gresolver "google.golang.org/grpc/resolver"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// resolverBuilder makes the gRPC resolver of one service.
type resolverBuilder struct {
	resolver *resolver.Resolver
	service  registry.Service
}

// Scheme is a part of the target only; the builder is not registered anywhere.
func (resolverBuilder) Scheme() string { return policyName }

// Build is called when a ClientConn leaves its idle mode.
func (b resolverBuilder) Build(_ gresolver.Target, cc gresolver.ClientConn, _ gresolver.BuildOptions) (gresolver.Resolver, error) {
	view, err := b.resolver.View(b.service, protocol)
	if err != nil {
		return nil, newError(codes.Unavailable, err, nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &serviceResolver{cc: cc, link: &link{view: view}, cancel: cancel}
	r.wg.Go(func() { r.run(ctx) })
	return r, nil
}

// link is how the view gets from the resolver to the policy.
type link struct {
	view *resolver.View
	// taken says that the policy has it: no other policy was configured.
	taken atomic.Bool
}

type linkKey struct{}

// serviceResolver tells gRPC the addresses of one service.
type serviceResolver struct {
	cc     gresolver.ClientConn
	link   *link
	cancel context.CancelFunc
	wg     sync.WaitGroup
	addrs  []address // reported last; belongs to run
}

// run reports an empty list first, which puts the policy in force: calls then
// wait in its picker, which knows what they wait for.
func (r *serviceResolver) run(ctx context.Context) {
	r.report(nil)
	if ctx.Err() == nil && !r.link.taken.Load() {
		r.cc.ReportError(errOtherPolicy) // it would ignore the rules
		return
	}
	// Watch returns when Close has ended ctx, or when the view has ended; of that
	// the policy tells the calls.
	_ = r.link.view.Watch(ctx, func(s *resolver.State) {
		if addrs := addresses(s.Snapshot); !slices.Equal(addrs, r.addrs) {
			r.addrs = addrs
			r.report(addrs)
		}
	})
}

func (r *serviceResolver) report(addrs []address) {
	endpoints := make([]gresolver.Endpoint, len(addrs))
	for i, a := range addrs {
		addr := gresolver.Address{Addr: a.addr}
		if a.boot != "" {
			// Of another process there it is another address: it gets a connection at
			// once, and not when gRPC's back-off from the last one's end is over.
			addr.Attributes = attributes.New(bootKey{}, a.boot)
		}
		endpoints[i].Addresses = []gresolver.Address{addr}
	}
	// The policy takes every list; an error comes from another one, which run
	// finds out, or from a ClientConn that is closing.
	_ = r.cc.UpdateState(gresolver.State{
		Endpoints:  endpoints,
		Attributes: attributes.New(linkKey{}, r.link),
	})
}

// ResolveNow does nothing: the registry pushes.
func (r *serviceResolver) ResolveNow(gresolver.ResolveNowOptions) {}

// Close ends run and gives the view back.
func (r *serviceResolver) Close() {
	r.cancel()
	r.wg.Wait()
	r.link.view.Close()
}

// address is where a process can be reached.
type address struct{ addr, boot string }

type bootKey struct{}

// addresses returns the addresses of a list, each once, sorted. Instances that
// get no traffic now are among them: what changes that is no reason to connect.
func addresses(s *registry.Snapshot) []address {
	addrs := make([]address, 0, s.Len())
	for _, in := range s.All() {
		addrs = append(addrs, address{in.Addr, in.Metadata[registry.KeyBoot]})
	}
	slices.SortFunc(addrs, func(a, b address) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.boot, b.boot))
	})
	return slices.CompactFunc(addrs, func(a, b address) bool { return a.addr == b.addr })
}
