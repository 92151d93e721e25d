//go:build race

package config

// underRace: the race detector makes everything ten times as slow, and its pools
// forget what they hold.
const underRace = true
