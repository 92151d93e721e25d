// Package resolver answers one question: is it current?
//
// A [Resolver] joins a registry (what exists) and a config source (what the
// operator wants) into one live [View] per service. A view's [State], that is
// snapshot, rules and director, is one immutable value behind one atomic
// pointer: a request sees exactly one. The faces httpx and grpcx ask View.Pick
// for every request.
//
// Every goroutine and timer between the registry and a request is owned here and
// ends with Resolver.Close.
package resolver
