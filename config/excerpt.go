package config

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Excerpt returns the line of a document that a problem is about, and below it a
// caret at its column; "" if there is no such line. A long line is cut.
func (p Problem) Excerpt(content []byte) string {
	const before, after = 60, 40 // characters around the column
	line, ok := nthLine(toUTF8(content), p.Line)
	if !ok || p.Col < 1 {
		return ""
	}
	text := []rune(strings.ToValidUTF8(string(line), "\ufffd"))
	col := min(p.Col-1, len(text))
	from, to := max(0, col-before), min(len(text), col+after)
	var caret strings.Builder
	for i, c := range text[from:to] {
		if !unicode.IsPrint(c) {
			// Neither a tab nor what moves a terminal's cursor.
			c = ' '
			text[from+i] = c
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

// width is as many spaces as a printable character takes in a terminal: two for
// those of East Asia and for pictures, none for a mark on another character.
func width(c rune) string {
	switch {
	case unicode.In(c, unicode.Mn, unicode.Me):
		return ""
	case c >= 0x1100 && (c <= 0x115f || c >= 0x2e80 && c <= 0xa4cf || c >= 0xac00 && c <= 0xd7a3 ||
		c >= 0xf900 && c <= 0xfaff || c >= 0xfe30 && c <= 0xfe6f || c >= 0xff00 && c <= 0xff60 || c >= 0xffe0 && c <= 0xffe6 ||
		c >= 0x1f300 && c <= 0x1faff || c >= 0x20000 && c <= 0x3fffd):
		return "  "
	}
	return " "
}

// nthLine returns a line, counted from 1.
func nthLine(content []byte, n int) ([]byte, bool) {
	for line := range lines(content) {
		n--
		if n == 0 {
			return line, true
		}
	}
	return nil, false
}

// lines returns the lines of a document as the parser counts them, without their
// ends. What follows the last end is a line if it is not empty.
func lines(content []byte) iter.Seq[[]byte] {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	return func(yield func([]byte) bool) {
		for rest := content; len(rest) > 0; {
			i := bytes.IndexAny(rest, "\r\n\u0085\u2028\u2029")
			if i < 0 {
				yield(rest)
				return
			}
			if !yield(rest[:i]) {
				return
			}
			_, size := utf8.DecodeRune(rest[i:])
			if bytes.HasPrefix(rest[i:], []byte("\r\n")) {
				size = 2
			}
			rest = rest[i+size:]
		}
	}
}

// toUTF8 returns a document that is UTF-16, which the parser reads too, as UTF-8,
// and any other as it is. One that is broken is left to the parser.
func toUTF8(content []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(content, []byte("\xfe\xff")):
		order = binary.BigEndian
	case !bytes.HasPrefix(content, []byte("\xff\xfe")):
		return content
	}
	if len(content)%2 != 0 {
		return content
	}
	units := make([]uint16, 0, len(content)/2)
	for i := 2; i < len(content); i += 2 {
		units = append(units, order.Uint16(content[i:]))
	}
	text := utf16.Decode(units)
	if len(text) == 0 {
		return nil
	}
	if slices.Contains(text, utf8.RuneError) {
		return content
	}
	return []byte(string(text))
}
