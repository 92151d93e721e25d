// Package nacostest is an embedded Nacos for tests: what miniredis is for Redis.
//
//	srv := nacostest.Run(t)
//	client := connect(srv.Addr())
//
// A [Server] speaks Nacos's own protocols on loopback: naming and configuration
// over gRPC with pushes and acknowledgements, and the HTTP requests that an
// operator's curl or the console sends. Clients need not know that it is not the
// real one. Beside the protocols stands a typed back door ([Server.Publish],
// [Server.Edit], [Server.Instances] ...).
//
// It fails as Nacos does. [Server.Intercept] decides message by message what is
// late, lost, doubled, overtaken, refused or wrong, see [Action]; [Server.Silence]
// makes the whole server hang, [Server.Stop] kills it, [Server.Restart] brings it
// back with or without its data, [Server.Disconnect] and [Server.Reset] end
// connections, [Server.RevokeTokens] and [WithTokenTTL] tokens.
//
// It follows Nacos 3.1.0 running standalone. Known differences:
//
//   - Changes are pushed after 20 ms, see [WithPushDelay]; Nacos takes 500 ms.
//   - Queries answer with what is true now. In Nacos they lag a change by the
//     push delay.
//   - Lists are sorted by address; in Nacos they have no order.
//   - Persistent instances are kept as the others are, without health checks.
//   - The console's requests share the HTTP port with the rest.
//   - There is no cluster, no history, and nothing on disk.
package nacostest
