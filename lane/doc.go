// Package lane answers one question: what travels with a request?
//
// A request's lane, its user and a few more headers go from service to service:
// a server reads them from the incoming message into the context ([Extract]), a
// client writes them from the context onto the outgoing message ([Inject]). Both
// work on a [Carrier] of two methods, so that HTTP headers, gRPC metadata and the
// headers of a message queue serve alike.
//
// The package is pure and knows no other package of this module.
package lane
