package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGatewayForwardsByPathAndIsAnEdge(t *testing.T) {
	t.Setenv("NACOS_ADDR", "")
	t.Setenv("GRAYLANE_CACHE_DIR", "off")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `/user/7                             200 user v1 has /7
/user/7    x-gray-version: v2       200 user v2 has /7
/user/7    x-gray-lane: canary      200 user v1 has /7
/order/42                           200 order v1 has /42
/secret                             404 no route
`, out.String())
}
