// Package grpcx is the gRPC face.
//
// [NewClient] returns a plain *grpc.ClientConn for a service: every call of it
// is decided by the service's rules and goes to one instance, over connections
// that live as long as the instance is registered. [Serve] runs a server from
// its registration to its last call; [Interceptors] are what a server needs that
// is run in another way.
//
// How it hangs together on the client's side: a resolver reports the addresses
// of the service to gRPC, and only when their set changes. The load balancing
// policy "graylane" keeps one connection to each. Its picker asks the service's
// [resolver.View] about every call, and passes over instances that are not
// connected: another instance of the same target gets the call, never another
// target. So a change of rules, weights or metadata takes effect without a touch
// on any connection.
package grpcx
