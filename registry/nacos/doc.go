// Package nacos is the registry that Nacos keeps: it watches and registers over
// one connection to a Nacos cluster, 2.0 or newer.
//
// Instances are ephemeral: they exist as long as the connection of the process
// that registered them. A [Client] announces again what is registered, and
// subscribes again to what is watched, after every loss of connection.
//
// Who may register must not be able to harm who watches: link-local, multicast and
// unspecified addresses and those of clouds' metadata services are left out of
// lists, loopback addresses too unless the Nacos server is on loopback itself. Of a
// list at most 20,000 instances are used, of an instance's metadata 64 labels and
// 4,096 bytes; a message of more than 16 MiB is not read. What was left out is
// reported.
//
// A thousand watched services are asked for within 2 s at the start and 6 s after a
// lost connection, and once in 10 s after that, at most 200 a second.
//
// Not supported: persistent instances, fuzzy watch, address servers, and the
// access keys of cloud vendors.
package nacos
