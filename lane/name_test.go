package lane_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/graylane/graylane/lane"
)

var laneName = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?\z`)

func FuzzValid(f *testing.F) {
	for _, s := range []string{"", "a", "blue", "v1.2_3-4", "-a", "a.", "a b", "a\n", "ä", "a\x00", strings.Repeat("a", 64), strings.Repeat("a", 65)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		assert.Equal(t, laneName.MatchString(s), lane.Valid(s), "%q", s)
	})
}
