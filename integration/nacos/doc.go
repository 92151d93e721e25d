// Package nacos starts a real Nacos 3.1.0 on loopback, for tests and for play.
//
// The server's jars come from Maven Central and are kept in a cache folder; it
// needs a JDK 17 or newer and, until the jars are there, Maven. A node is up in
// about ten seconds and takes about 0.8 GiB. It ends with the process that
// started it, however that process ends.
package nacos
