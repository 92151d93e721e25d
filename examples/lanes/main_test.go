package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLaneGoesOverAllHops(t *testing.T) {
	t.Setenv("NACOS_ADDR", "")
	t.Setenv("GRAYLANE_CACHE_DIR", "off")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `no lane      order@main > user@main > stock@main ×1000
lane canary  order@canary > user@main > stock@canary ×1000
`, out.String())
}
