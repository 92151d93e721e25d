package config

// ValidName reports whether s can name a target, a rule or a lane: 1 to 64
// letters, digits, dots, underscores and hyphens, with a letter or digit at both
// ends.
func ValidName(s string) bool {
	if s == "" || len(s) > 64 || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// HeaderField returns the FIELD header.NAME.
func HeaderField(name string) *Field {
	return &Field{kind: fieldHeader, name: name, header: NewHeaderName(name)}
}
