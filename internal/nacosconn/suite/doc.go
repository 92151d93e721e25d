// Package suite holds what must be true of registry/nacos and config/nacos on
// every server: the embedded one and a real Nacos alike. It is for tests.
package suite
