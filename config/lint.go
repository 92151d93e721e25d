package config

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// ErrUnknownKind says that a file's name is no document's.
var ErrUnknownKind = errors.New("config: not the name of a document")

// Lint returns everything that is wrong with a document, of the kind and service
// that the file's name tells: gray.<service>.yaml, gray._global.yaml,
// switches.<service>.yaml, switches._global.yaml. The error is ErrUnknownKind.
//
// There says whether any instance of the service has such labels, for the warning
// about a target without instances; nil: that is not known.
func Lint(file string, content []byte, there func(labels map[string]string) bool) (Problems, error) {
	kind, rest, _ := strings.Cut(path.Base(file), ".")
	service, yaml := strings.CutSuffix(rest, ".yaml")
	if !yaml || service == "" {
		kind = ""
	}
	var problems Problems
	switch {
	case kind == "gray" && path.Base(file) == GlobalDocID:
		_, problems = ParseGlobal(file, content)
	case kind == "gray":
		_, problems = parseRules(&reader{file: file, there: there}, service, content)
	case kind == "switches":
		_, problems = ParseSwitches(file, content)
	default:
		return nil, fmt.Errorf("%w: %s; documents are gray.SERVICE.yaml, %s, switches.SERVICE.yaml and %s",
			ErrUnknownKind, file, GlobalDocID, GlobalSwitchesDocID)
	}
	return problems, nil
}

// Excerpt returns the line of a document that a problem is about, and below it a
// caret at its column; "" if there is no such line. A long line is cut.
func (p Problem) Excerpt(content []byte) string {
	const before, after = 60, 40 // characters around the column
	line := nthLine(content, p.Line)
	if line == nil || p.Col < 1 {
		return ""
	}
	text := []rune(strings.ToValidUTF8(string(line), "�"))
	col := min(p.Col-1, len(text))
	from, to := max(0, col-before), min(len(text), col+after)
	var caret strings.Builder
	for i, c := range text[from:to] {
		if c < ' ' || !utf8.ValidRune(c) {
			text[from+i] = ' ' // of the width of the caret's line
		}
		if from+i < col {
			caret.WriteString(width(c))
		}
	}
	lead := "  "
	if from > 0 {
		lead = "… "
	}
	return lead + string(text[from:to]) + "\n  " + caret.String() + "^"
}

// width is as many spaces as a character takes in a terminal: two for those of
// East Asia.
func width(c rune) string {
	if c >= 0x1100 && (c <= 0x115f || c >= 0x2e80 && c <= 0xa4cf || c >= 0xac00 && c <= 0xd7a3 ||
		c >= 0xf900 && c <= 0xfaff || c >= 0xfe30 && c <= 0xfe6f || c >= 0xff00 && c <= 0xff60 || c >= 0xffe0 && c <= 0xffe6) {
		return "  "
	}
	return " "
}

// nthLine returns a line, counted from 1 as the parser counts; nil if there is none.
func nthLine(content []byte, n int) []byte {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	for ; len(content) > 0; n-- {
		i := bytes.IndexAny(content, "\r\n\u0085\u2028\u2029")
		if i < 0 {
			i = len(content)
		}
		if n == 1 {
			return content[:i]
		}
		content = content[i:]
		if r, size := utf8.DecodeRune(content); r == '\r' && len(content) > 1 && content[1] == '\n' {
			content = content[2:]
		} else {
			content = content[size:]
		}
	}
	return nil
}
