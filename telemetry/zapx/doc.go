// Package zapx writes what a resolver does to a zap logger: each new state of a
// service, and everything that went wrong behind the requests' back, such as a
// refused document. It writes nothing for a single request; a request's error is
// its caller's to log.
//
//	r, err := resolver.New(reg, src, resolver.WithHooks(zapx.Hooks(logger)))
//
// graylane.WithLogger does the same for a client made by graylane.Open.
package zapx
