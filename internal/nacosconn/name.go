package nacosconn

import (
	"fmt"
	"strings"
)

const (
	maxName      = 255 // characters
	maxNamespace = 128
)

// CheckName reports why Nacos would refuse v as the name of a group or a document;
// what says which. Package registry, which knows no other, has the same rules for
// services.
func CheckName(what, v string) error {
	if v == "" || len(v) > maxName {
		return fmt.Errorf("%s %.32q: want 1 to %d characters", what, v, maxName)
	}
	if r, ok := foreign(v, "._-:"); ok {
		return fmt.Errorf("%s %q has %q; allowed are . _ - : letters and digits", what, v, r)
	}
	return nil
}

// checkNamespace is CheckName of a namespace, which may be empty and has a
// narrower alphabet.
func checkNamespace(v string) error {
	if _, ok := foreign(v, "_-"); ok || len(v) > maxNamespace {
		return fmt.Errorf("nacos namespace %.130q: want its ID: at most %d letters, digits, - and _", v, maxNamespace)
	}
	return nil
}

// foreign returns the first character of v that is neither an ASCII letter or
// digit nor one of others.
func foreign(v, others string) (rune, bool) {
	for _, r := range v {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r) {
			return r, true
		}
	}
	return 0, false
}
