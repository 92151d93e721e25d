package serving_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/internal/serving"
)

func TestWhoComesFromOutside(t *testing.T) {
	var open, shut, some serving.Edge
	shut.Close(nil)
	some.Trust([]netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("fd00::/8")})
	for peer, outside := range map[string]bool{
		"10.9.9.9:80":             false,
		"[::ffff:10.9.9.9]:80":    false,
		"[fd00::1%eth0]:80":       false,
		"11.0.0.1:80":             true,
		"[fe80::1]:80":            true,
		"":                        true,
		"@":                       true, // a Unix socket
		"10.9.9.9":                true,
		"10.9.9.9.evil.example:1": true,
	} {
		assert.Equal(t, outside, some.Outside(peer), peer)
		assert.True(t, shut.Outside(peer), peer)
		assert.False(t, open.Outside(peer), peer)
	}
}
