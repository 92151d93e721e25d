package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRulesHoldBehindGin(t *testing.T) {
	t.Setenv("NACOS_ADDR", "")
	t.Setenv("GRAYLANE_CACHE_DIR", "off")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Regexp(t, `^no rules +v1 ×(4\d\d|5\d\d)  v2 ×(4\d\d|5\d\d)
all to v1 +v1 ×1000
10 % to v2 +v1 ×(89\d|90\d)  v2 ×(9\d|10\d)
x-gray-version: v2 +v2 ×1000
$`, out.String())
}
