package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a problem refuses its document.
type Severity uint8

// The severities.
const (
	// Error refuses the whole document.
	Error Severity = iota
	// Warning refuses nothing.
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MaxProblems is the number of errors, and that of warnings, of one document that
// are reported; of one that has more one more is, which says so.
const MaxProblems = 1000

// Problem is one thing that is wrong with a document.
type Problem struct {
	File string
	// Line and Col count from 1; Col counts characters.
	Line, Col int
	// Code is one of section 8 of the rule language, such as "bad-percent".
	Code     string
	Severity Severity
	Message  string
}

// String returns "FILE:LINE:COL: CODE: message".
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Col, p.Code, p.Message)
}

// Problems are all problems of one document, in the order of their places. As an
// error, which Err makes of it, errors.As finds it.
type Problems []Problem //nolint:errname // A list first, and an error if Err says so.

// Err returns ps if a problem of severity Error is among them, else nil.
func (ps Problems) Err() error {
	if slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == Error }) {
		return ps
	}
	return nil
}

// Error returns the problems, warnings among them, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// The codes of the language.
const (
	codeSyntax             = "syntax"
	codeTooLarge           = "too-large"
	codeTooDeep            = "too-deep"
	codeAnchor             = "anchor"
	codeDuplicateKey       = "duplicate-key"
	codeUnknownField       = "unknown-field"
	codeMissingField       = "missing-field"
	codeWrongType          = "wrong-type"
	codeNeedsQuotes        = "needs-quotes"
	codeBadName            = "bad-name"
	codeBadField           = "bad-field"
	codeBadTest            = "bad-test"
	codeBadRegex           = "bad-regex"
	codeBadRange           = "bad-range"
	codeBadPercent         = "bad-percent"
	codePercentSum         = "percent-sum"
	codeTooManyArms        = "too-many-arms"
	codeTooManyRules       = "too-many-rules"
	codeUnknownTarget      = "unknown-target"
	codeDuplicateRule      = "duplicate-rule"
	codeToOrBy             = "to-or-by"
	codeStickyWithoutSplit = "sticky-without-split"
	codeBadAddress         = "bad-address"
	codeWrongService       = "wrong-service"
	codeUnsupportedVersion = "unsupported-version"
	codeUnsupportedNeed    = "unsupported-need"
	codeBadDuration        = "bad-duration"
	codeBadValue           = "bad-value"

	codeUnreachable    = "unreachable"
	codeRegexNotNeeded = "regex-not-needed"
	codeUnstableSticky = "unstable-sticky"
	codeNoInstance     = "no-instance"
)
