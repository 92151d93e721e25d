// Package registry answers one question: what exists?
//
// A [Service] is a name in a registry, an [Instance] one running copy of it. A
// [Watcher] reports the full list of a service's instances whenever it changes,
// a [Registrar] announces instances, and a [Snapshot] is one immutable list that
// any number of goroutines may read.
//
// The package is pure: it opens no connection and starts no goroutine. Package
// registry/nacos speaks with Nacos, package registry/memory keeps everything in
// the process and is meant for tests.
package registry
