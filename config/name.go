package config

import "github.com/graylane/graylane/lane"

// ValidName reports whether s can name a target, a rule or a lane: 1 to 64
// letters, digits, dots, underscores and hyphens, with a letter or digit at both
// ends.
func ValidName(s string) bool { return lane.Valid(s) }

// HeaderField returns the FIELD header.NAME.
func HeaderField(name string) *Field {
	return &Field{kind: fieldHeader, name: name, header: NewHeaderName(name)}
}
