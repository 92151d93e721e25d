package registry_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/registry"
)

var namePart = regexp.MustCompile(`\A[A-Za-z0-9._:-]{0,255}\z`)

// FuzzService: what is valid is what Nacos takes, and is read back from its text.
func FuzzService(f *testing.F) {
	for _, s := range []registry.Service{
		{Name: "order"},
		{Namespace: "dev", Group: "G", Name: "a.b:c_d-1"},
		{},
		{Name: "a/b"},
		{Name: "a@@b"},
		{Name: "a", Group: "g\n"},
		{Name: "ä"},
		{Name: "\xff"},
		{Name: strings.Repeat("a", 256)},
	} {
		f.Add(s.Namespace, s.Group, s.Name)
	}
	f.Fuzz(func(t *testing.T, namespace, group, name string) {
		s := registry.Service{Namespace: namespace, Group: group, Name: name}
		good := namePart.MatchString(namespace) && namePart.MatchString(group) && namePart.MatchString(name) && name != ""
		if !good {
			require.ErrorIs(t, s.Validate(), registry.ErrInvalid)
			return
		}
		s = s.WithDefaults()
		require.NoError(t, s.Validate())
		assert.Equal(t, s, s.WithDefaults())
		assert.Equal(t, []string{s.Namespace, s.Group, s.Name}, strings.Split(s.String(), "/"))
	})
}
