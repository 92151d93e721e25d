// Package serving is the life of a server: accept, announce, and at the end
// withdraw, let the callers go, drain, close. [Run] leads a [Server] of any
// protocol through it; the faces httpx and grpcx each bring one.
package serving
