package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIsolatedAddressesAreComparedAsParsed(t *testing.T) {
	rules := accept(t, "gray: v1\ndefault: v1\nisolate: [10.0.0.7:8080, '[::1]:80', '[FD00:0:0::00AB]:443', '[fe80::1%eth0]:80', '10.0.0.8:0080']\n")
	for _, addr := range []string{
		"10.0.0.7:8080", "[::1]:80", "[0:0:0:0:0:0:0:1]:80", "[0000::0001]:080", "[fd00::ab]:443", "[FD00::AB]:443", "[fe80::1%eth0]:80",
		"10.0.0.8:80",
	} {
		assert.True(t, rules.Isolated(addr), addr)
	}
	for _, addr := range []string{
		"10.0.0.7:80", "10.0.0.7", "10.0.0.70:8080", "[::1]:81", "[::2]:80", "[fe80::1]:80", "[fe80::1%eth1]:80",
		"[::ffff:10.0.0.7]:8080", "::1:80", "localhost:80", "", ":80", "10.0.0.07:8080",
	} {
		assert.False(t, rules.Isolated(addr), addr)
	}
	assert.False(t, accept(t, "gray: v1\ndefault: v1\n").Isolated("10.0.0.7:8080"))
	assert.False(t, accept(t, "gray: v1\ndefault: v1\nisolate: []\n").Isolated(""))
}
