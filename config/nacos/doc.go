// Package nacos brings rule documents from the config center of Nacos, and
// publishes them, over one connection to a Nacos cluster, 2.0 or newer.
//
// Nacos tells that a document has changed; the [Client] reads it then, and
// compares digests every few seconds besides, so that a lost notification delays
// a change and never loses it.
//
// Not supported: documents that the client would have to decrypt ("cipher-").
package nacos
