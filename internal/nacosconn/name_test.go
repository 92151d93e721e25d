package nacosconn

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

func TestNamesAreThoseThatPackageRegistryTakes(t *testing.T) {
	names := []string{"", strings.Repeat("x", 255), strings.Repeat("x", 256), "a\xff", "ａ"}
	for r := range rune(0x180) {
		names = append(names, "a"+string(r))
	}
	taken := 0
	for _, v := range names {
		ours, theirs := CheckName("group", v), registry.Service{Name: v}.WithDefaults().Validate()
		assert.Equal(t, theirs == nil, ours == nil, "%q: %v, %v", v, ours, theirs)
		if ours == nil {
			taken++
		}
	}
	assert.Equal(t, 1+26+26+10+4, taken)
}

func TestNamespaceIsAnIDOrNothing(t *testing.T) {
	for _, v := range []string{"", "public", "a-b_C9", strings.Repeat("x", 128)} {
		require.NoError(t, checkNamespace(v), v)
	}
	for _, v := range []string{"a.b", "a:b", "a b", "ä", strings.Repeat("x", 129)} {
		require.ErrorContains(t, checkNamespace(v), "want its ID", v)
	}
}
