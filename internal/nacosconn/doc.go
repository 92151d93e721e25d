// Package nacosconn keeps one connection to one of several Nacos servers.
//
// A [Session] dials, introduces itself, checks the server's health, answers what
// the server asks, and moves to the next server when one fails. It speaks with
// the SDK's generated messages and request types, not with the SDK's clients.
//
// A session keeps no desired state of its own. Whoever wants something from
// Nacos holds it in a loop: take the connection of the moment ([Session.Conn]),
// ask on it ([Conn.Subscribe], [Conn.Register], ...), and begin again when the
// connection is lost ([Conn.Lost]). [Topics] runs such loops, one per key, and
// hands their results to any number of watchers.
package nacosconn
