// Package zapx writes what a resolver does to a zap logger.
//
//	hooks := zapx.Hooks(logger)                    // new states, refused documents, ejections
//	decisions := zapx.Decisions(logger, 1000)      // one request of 1000, and all that goes wrong
//	gl, err := graylane.Open(ctx, graylane.WithHooks(hooks), graylane.WithHooks(decisions))
//	// or, for a resolver of one's own:
//	r, err := resolver.New(reg, src, resolver.WithHooks(hooks), resolver.WithHooks(decisions))
//
// Hooks writes nothing for a single request: its error is its caller's to log.
// graylane.WithLogger uses it for a client made by graylane.Open. Decisions is about
// requests, and is bounded.
package zapx
