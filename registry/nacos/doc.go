// Package nacos is the registry that Nacos keeps: it watches and registers over
// one connection to a Nacos cluster, 2.0 or newer.
//
// Instances are ephemeral: they exist as long as the connection of the process
// that registered them. A [Client] announces again what is registered, and
// subscribes again to what is watched, after every loss of connection.
//
// Not supported: persistent instances, fuzzy watch, address servers, and the
// access keys of cloud vendors.
package nacos
