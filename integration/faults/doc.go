// Package faults breaks things under load, and counts whom it hurts: our clients,
// and beside them, in the same run and under the same load, those that one would
// use otherwise.
//
// A run is one fault. Providers and consumers are processes of their own, around
// a real Nacos of three nodes. Each consumer keeps a log of its requests, each
// provider one of what it was sent, and when all is over the logs are judged: the
// judge knows the rules, and what was started and killed when. A run begins with
// a control phase without any fault. If anything fails in it the run is void, is
// counted as such, and is repeated.
//
// The program cmd/faults runs all faults at full size and prints tables. The tests
// run each once and short, and hold our clients to what Goals says.
package faults
