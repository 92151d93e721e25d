package grpcx

import (
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
	addrs  []string // reported last; belongs to run
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

func (r *serviceResolver) report(addrs []string) {
	endpoints := make([]gresolver.Endpoint, len(addrs))
	for i, addr := range addrs {
		endpoints[i].Addresses = []gresolver.Address{{Addr: addr}}
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

// addresses returns the addresses of a list, each once, sorted. Instances that
// get no traffic now are among them: what changes that is no reason to connect.
func addresses(s *registry.Snapshot) []string {
	addrs := make([]string, 0, s.Len())
	for _, in := range s.All() {
		addrs = append(addrs, in.Addr)
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}
