// Package disk keeps the last good states (instance lists, rule documents) in a
// directory, so that a process can start while Nacos is away.
//
// It is a cache: whatever is wrong with a file makes it absent, never a wrong
// answer. One file per key, named by a hash of the key, replaced by a rename, and
// checked whole before a byte of it is believed. Several processes may share the
// directory; each sees the old or the new state of a key, never a mixture.
package disk
