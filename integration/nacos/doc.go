// Package nacos starts a real Nacos on loopback, for tests and for play: one node
// of 3.1.0 (Start), a cluster of three (StartCluster), or one of the generation
// before, 2.3.2 (StartV2).
//
// The server's jars come from Maven Central and are kept in a cache folder; it
// needs a JDK 17 or newer and, until the jars are there, Maven. A node is up in
// about ten seconds, a cluster in three quarters of a minute on two cores, and
// each node takes about 0.8 GiB. They end with the process that started them,
// however that process ends.
package nacos
