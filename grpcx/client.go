package grpcx

import (
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/grpc"

	"github.com/graylane/graylane/resolver"
)

// policyName names the load balancing policy, in gRPC's registry and in service
// configs.
const policyName = "graylane"

// policyConfig is the service config's loadBalancingConfig that selects it.
const policyConfig = `[{"` + policyName + `":{}}]`

// protocol is the label of the instances that speak gRPC.
const protocol = "grpc"

// NewClient returns a connection to a service of the resolver's namespace and
// group. Like grpc.NewClient it does no I/O; the first call, or Connect, starts
// watching the service and connecting to all of its instances. The resolver must
// outlive it.
//
// The options must hold transport credentials; TLS verifies the service's name,
// unless grpc.WithAuthority says otherwise. Proxies of the environment are not
// used. Interceptors run outside of the package's own: what they add to the
// outgoing metadata is seen by the rules. A service config (timeouts, retries)
// comes in by [WithServiceConfig]; one by grpc.WithDefaultServiceConfig that does
// not select the policy "graylane" fails every call with FailedPrecondition.
//
// What the context carries (package lane) is sent as metadata. A call waits for
// the first list of instances, and while its candidates are being connected to,
// as long as its context allows: give it a deadline. A retry goes to another
// instance of the target that was decided for the call.
//
// Errors are gRPC statuses, and errors.Is finds the cause: the reasons not to
// send a call, such as balancer.ErrNoInstance and resolver.ErrUnknownService, are
// Unavailable; balancer.ErrUnknownTarget is InvalidArgument; and a call that
// ended before the registry answered has resolver.ErrNotReady. Calls with
// grpc.WaitForReady wait wherever waiting can help.
func NewClient(r *resolver.Resolver, service string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	s := r.Service(service)
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("grpcx: %w", err)
	}
	b := resolverBuilder{resolver: r, service: s}
	return grpc.NewClient(b.Scheme()+":///"+service, slices.Concat(
		// A connection that idles forgets its instances, and could not get a new
		// list while the registry is down.
		[]grpc.DialOption{WithServiceConfig(`{}`), grpc.WithIdleTimeout(0)},
		opts,
		[]grpc.DialOption{
			grpc.WithResolvers(b),
			// Instances are addresses; a proxy would be chosen by the service's name.
			grpc.WithNoProxy(),
			grpc.WithChainUnaryInterceptor(unaryClient),
			grpc.WithChainStreamInterceptor(streamClient),
		},
	)...)
}

// WithServiceConfig is grpc.WithDefaultServiceConfig with the load balancing
// policy that [NewClient] needs; one that the JSON names is replaced. What is
// wrong with the JSON is an error of NewClient.
func WithServiceConfig(jsonConfig string) grpc.DialOption {
	var config map[string]json.RawMessage
	if err := json.Unmarshal([]byte(jsonConfig), &config); err != nil || config == nil {
		return grpc.WithDefaultServiceConfig(jsonConfig) // gRPC says what is wrong
	}
	config["loadBalancingConfig"] = json.RawMessage(policyConfig)
	merged, err := json.Marshal(config)
	if err != nil {
		return grpc.WithDefaultServiceConfig(jsonConfig)
	}
	return grpc.WithDefaultServiceConfig(string(merged))
}
